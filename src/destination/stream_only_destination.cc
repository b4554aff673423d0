#include "destination/stream_only_destination.h"

#include <utility>
#include <vector>

namespace wallaby {
namespace {

class StreamOnlyDestination : public Destination {
 public:
  explicit StreamOnlyDestination(std::unique_ptr<Destination> inner) : inner_(std::move(inner)) {}

  Capabilities capabilities() const override { return inner_->capabilities(); }
  absl::StatusOr<Progress> Open() override { return inner_->Open(); }
  absl::Status CheckTable(const Relation& relation) override { return inner_->CheckTable(relation); }
  // What a copy would have filled comes with its first change.
  absl::Status CheckPresent(const Relation&) override { return absl::OkStatus(); }
  absl::Status Write(const ChangeBatch& batch) override {
    return batch.snapshot_part().empty() ? inner_->Write(batch) : absl::OkStatus();
  }
  // With the parts of a copy that are finished, as if their rows were there: nothing waits for them.
  absl::Status Commit(const CommitPoint& point) override { return inner_->Commit(point); }
  absl::Status Tend() override { return inner_->Tend(); }
  // A copy has left nothing here.
  absl::Status ResetSnapshot(const Relation&, std::string_view) override { return absl::OkStatus(); }
  absl::Status ResetPart(const Relation&, std::string_view, const KeyRange&) override { return absl::OkStatus(); }
  std::vector<std::string> DdlStatements(const SchemaChange& change) const override {
    return inner_->DdlStatements(change);
  }
  absl::Status ApplyDdl(const SchemaChange& change) override { return inner_->ApplyDdl(change); }
  absl::Status Resend(const PushRequest& request) override { return inner_->Resend(request); }

 private:
  const std::unique_ptr<Destination> inner_;
};

}  // namespace

bool LeavesOutCopies(const std::map<std::string, std::string>& options) {
  const auto found = options.find("snapshot");
  return found != options.end() && found->second == "never";
}

std::unique_ptr<Destination> MakeStreamOnlyDestination(std::unique_ptr<Destination> inner) {
  return std::make_unique<StreamOnlyDestination>(std::move(inner));
}

}  // namespace wallaby
