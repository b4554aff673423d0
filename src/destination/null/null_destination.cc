#include "destination/null/null_destination.h"

#include "base/status.h"
#include "destination/options.h"

namespace wallaby {
namespace {

class NullDestination : public Destination {
 public:
  Capabilities capabilities() const override { return {.keeps_progress = false}; }
  absl::StatusOr<Progress> Open() override { return Progress{}; }
  absl::Status CheckTable(const Relation&) override { return absl::OkStatus(); }
  absl::Status Write(const ChangeBatch&) override { return absl::OkStatus(); }
  absl::Status Commit(const CommitPoint&) override { return absl::OkStatus(); }
  absl::Status ResetSnapshot(const Relation&, std::string_view) override { return absl::OkStatus(); }
  std::vector<std::string> DdlStatements(const SchemaChange&) const override { return {"-- nothing is kept here"}; }
  absl::Status ApplyDdl(const SchemaChange&) override { return absl::OkStatus(); }
};

}  // namespace

absl::Status MakeNullDestination(const DestinationConfig& config, std::unique_ptr<Destination>* out) {
  RETURN_IF_ERROR(ParseTableOptions("null", config).status());
  *out = std::make_unique<NullDestination>();
  return absl::OkStatus();
}

}  // namespace wallaby
