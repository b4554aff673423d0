#include "destination/push/push_destination.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status.h"
#include "destination/payload_codec.h"
#include "destination/push/delivery.h"
#include "destination/push/request_builder.h"
#include "destination/push/send_lanes.h"

namespace wallaby {
namespace {

// The codec of the payloads; none for kWal. `registered`: schemas go to the registry, else they are only looked at.
absl::StatusOr<std::unique_ptr<Codec>> MakeCodecFor(const DestinationConfig& config, const TableOptions& table,
                                                    PayloadMode mode, bool registered) {
  if (mode == PayloadMode::kWal) return std::unique_ptr<Codec>();
  DestinationConfig with = config;
  if (mode == PayloadMode::kRecordJson) with.wire_format = WireFormat::kJson;  // whatever the flow says
  if (!registered)
    std::erase_if(with.options, [](const auto& option) { return option.first.starts_with("schema_registry"); });
  return MakePayloadCodec(with, table, [table](const Relation& relation) {
    return absl::StrCat(table.TargetSchema(relation), ".", table.TargetTable(relation));
  });
}

class PushDestination final : public Destination {
 public:
  PushDestination(const DestinationConfig& config, const TableOptions& table, const PushOptions& options,
                  MakeSender make_sender, std::unique_ptr<Codec> codec, std::unique_ptr<Codec> check)
      : options_(options),
        memory_limit_(config.memory_limit),
        make_sender_(std::move(make_sender)),
        codec_(std::move(codec)),
        check_(std::move(check)),
        delivery_(options, config.name, config.dead_letters, config.cut_short),
        acknowledged_(remembers() ? &AcknowledgedRecords::Of(config.flow_id, config.name) : nullptr),
        builder_(config, options, table, codec_.get(), remembers()) {}

  Capabilities capabilities() const override { return {.keeps_progress = false}; }

  absl::StatusOr<Progress> Open() override {
    lanes_.reset();
    lanes_.emplace(options_.parallelism, memory_limit_, make_sender_,
                   [this](PushSender& sender, const QueuedRequest& queued, const Event& end) {
                     RETURN_IF_ERROR(delivery_.Deliver(sender, queued.request, end));
                     if (acknowledged_ != nullptr) {
                       acknowledged_->Add(queued.records, Clock::Real()->Monotonic(), options_.dedupe_window);
                     }
                     return absl::OkStatus();
                   });
    return Progress{};
  }

  absl::Status CheckTable(const Relation& relation) override {
    if (check_ == nullptr) return absl::OkStatus();
    return check_->Describe(std::make_shared<Relation>(relation)).status();
  }

  absl::Status Write(const ChangeBatch& batch) override {
    RequestBuilder::Skip skip;
    if (acknowledged_ != nullptr) {
      skip = [this, now = Clock::Real()->Monotonic()](const RecordId& record) {
        return acknowledged_->Has(record, now, options_.dedupe_window);
      };
    }
    return builder_.Build(batch, skip, [this](uint64_t lane, QueuedRequest request) -> absl::Status {
      if (lane != RequestBuilder::kBarrier) return lanes_->Push(lane, std::move(request));
      RETURN_IF_ERROR(lanes_->Drain());
      RETURN_IF_ERROR(lanes_->Push(0, std::move(request)));
      return lanes_->Drain();
    });
  }

  absl::Status Commit(const CommitPoint& /*point*/) override { return lanes_->Drain(); }

  // What was sent cannot be taken back; it comes once more.
  absl::Status ResetSnapshot(const Relation& /*relation*/, std::string_view /*part_prefix*/) override {
    return absl::OkStatus();
  }

  std::vector<std::string> DdlStatements(const SchemaChange& change) const override {
    return {absl::StrCat("-- nothing is run at the receiver; payloads of ", change.Table(), " follow the source",
                         codec_ != nullptr ? ", and a schema registry is asked for its new shape first" : "")};
  }

  absl::Status ApplyDdl(const SchemaChange& change) override {
    if (codec_ == nullptr || !change.after) return absl::OkStatus();
    return codec_->Describe(std::make_shared<Relation>(change.after->Visible())).status();
  }

  absl::Status Resend(const PushRequest& request) override {
    const std::unique_ptr<PushSender> sender = make_sender_();
    const Event never;
    // Somebody waits for the end of it.
    PushOptions options = options_;
    options.retry_after_max = std::min(options.retry_after_max, options.backoff_max);
    return Delivery(options, "", nullptr).Resend(*sender, request, never);
  }

 private:
  bool remembers() const { return options_.dedupe_window > absl::ZeroDuration(); }

  const PushOptions options_;
  const int64_t memory_limit_;
  const MakeSender make_sender_;
  const std::unique_ptr<Codec> codec_;
  const std::unique_ptr<Codec> check_;  // knows no registry
  const Delivery delivery_;
  AcknowledgedRecords* const acknowledged_;  // null: every record is sent
  RequestBuilder builder_;
  std::optional<SendLanes> lanes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Destination>> MakePushDestination(const DestinationConfig& config,
                                                                 const TableOptions& table, const PushOptions& options,
                                                                 MakeSender make_sender) {
  ASSIGN_OR_RETURN(auto codec, MakeCodecFor(config, table, options.payload_mode, /*registered=*/true));
  ASSIGN_OR_RETURN(auto check, MakeCodecFor(config, table, options.payload_mode, /*registered=*/false));
  return std::make_unique<PushDestination>(config, table, options, std::move(make_sender), std::move(codec),
                                           std::move(check));
}

}  // namespace wallaby
