#include "store/open_store.h"

#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "store/migrations.h"
#include "store/secret_box.h"
#include "store/sql_database.h"
#include "store/store_key.h"

namespace wallaby {
namespace {

absl::StatusOr<std::unique_ptr<ControlStore>> OpenOver(std::unique_ptr<SqlDatabase> database, bool refuse_secrets,
                                                       KeyUse use, int* sealed) {
  SqlStore::Options options{.refuse_secrets = refuse_secrets};
  ASSIGN_OR_RETURN(options.box, SecretBox::FromEnvironment());
  RETURN_IF_ERROR(Migrate(*database));
  RETURN_IF_ERROR(UseStoreKey(*database, options.box, use, sealed));
  return std::make_unique<SqlStore>(std::move(database), std::move(options));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlStore>> OpenSqliteStore(const std::string& path, KeyUse use, int* sealed) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqlDatabase> database, OpenSqliteDatabase(path));
  return OpenOver(std::move(database), /*refuse_secrets=*/false, use, sealed);
}

absl::StatusOr<std::unique_ptr<ControlStore>> OpenPostgresStore(const std::string& dsn, KeyUse use, int* sealed) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqlDatabase> database, OpenPostgresDatabase(dsn));
  return OpenOver(std::move(database), /*refuse_secrets=*/true, use, sealed);
}

absl::StatusOr<std::unique_ptr<SqlStore>> OpenOnlyCheckpoints(std::unique_ptr<SqlDatabase> database) {
  RETURN_IF_ERROR(Migrate(*database));
  return std::make_unique<SqlStore>(std::move(database), SqlStore::Options{.only_checkpoints = true});
}

}  // namespace wallaby
