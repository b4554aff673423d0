// SourceRelations: asks the source's catalog what the stream does not say of a relation.
#ifndef WALLABY_PIPELINE_SOURCE_RELATIONS_H_
#define WALLABY_PIPELINE_SOURCE_RELATIONS_H_

#include "pgoutput/assembler.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"

namespace wallaby {

class SourceRelations : public pgoutput::RelationSource {
 public:
  // Both must outlive the object.
  SourceRelations(PgConnection* sql, TypeCatalog* types) : sql_(sql), types_(types) {}
  absl::StatusOr<PgType> ResolveType(uint32_t oid, int32_t typmod) override { return types_->Resolve(oid, typmod); }
  absl::StatusOr<std::vector<std::string>> PrimaryKey(uint32_t relation_oid) override {
    return PrimaryKeyColumns(*sql_, relation_oid);
  }

 private:
  PgConnection* sql_;
  TypeCatalog* types_;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SOURCE_RELATIONS_H_
