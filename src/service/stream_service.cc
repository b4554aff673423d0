#include "service/stream_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "google/protobuf/timestamp.pb.h"
#include "service/rpc_status.h"
#include "telemetry/log.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics.h"

namespace wallaby {
namespace {

constexpr int kDefaultMessages = 100;
constexpr int kMostMessages = 10'000;
constexpr int kDefaultVisibility = 30;
constexpr int kMostVisibility = 12 * 60 * 60;
constexpr int kMostAcks = 100'000;
constexpr size_t kLongestName = 200;
// Clients take 4 MiB unless they are told otherwise.
constexpr int64_t kAnswerBytes = 3 << 20;
constexpr int64_t kAnswerFrame = 32 << 10;
// Until another look: at a stream whose tables are not there yet, behind others who took what there was, and where
// claims run out in a moment.
constexpr absl::Duration kTablesInterval = absl::Seconds(1);
constexpr absl::Duration kAfterOthers = absl::Seconds(2);
constexpr absl::Duration kShortest = absl::Milliseconds(10);

absl::Status Invalid(std::string_view field, std::string_view got, std::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got '", got, "'; allowed: ", allowed));
}

absl::Status CheckName(std::string_view field, const std::string& name, bool required) {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) { return absl::ascii_iscntrl(c); });
  if (name.empty() && required) return absl::InvalidArgumentError(absl::StrCat(field, ": is missing"));
  if (name.size() <= kLongestName && !control) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": allowed: at most ", kLongestName, " bytes without control characters"));
}

// `otherwise` for 0.
absl::StatusOr<int> Number(std::string_view field, int value, int otherwise, int most) {
  if (value < 0) return Invalid(field, absl::StrCat(value), absl::StrCat("0 (then ", otherwise, ") to ", most));
  return value == 0 ? otherwise : std::min(value, most);
}

void SetTime(absl::Time time, google::protobuf::Timestamp* proto) {
  const int64_t micros = absl::ToUnixMicros(time);
  proto->set_seconds(micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0));
  proto->set_nanos(static_cast<int32_t>((micros - proto->seconds() * 1'000'000) * 1000));
}

void AddMessage(const MessageRow& row, const std::string& stream, v1::StreamPullResponse* response) {
  v1::StreamMessage* message = response->add_messages();
  message->set_id(row.id);
  message->set_stream(stream);
  message->set_namespace_(row.space.data(), row.space.size());
  message->set_table(row.table.data(), row.table.size());
  message->set_lsn(row.lsn.ToString());
  message->set_wire_format(row.wire_format.data(), row.wire_format.size());
  message->set_payload(row.payload.data(), row.payload.size());
  SetTime(row.created_at, message->mutable_created_at());
  message->set_key(row.key.data(), row.key.size());
  message->set_operation(row.operation.data(), row.operation.size());
  message->set_seq(row.seq);
  message->set_delivery(row.deliveries);
  if (row.committed_at) SetTime(*row.committed_at, message->mutable_committed_at());
}

Labels LabelsOf(const std::string& stream, const std::string& group) {
  return {{"stream", stream}, {"consumer_group", group}};
}

}  // namespace

absl::StatusOr<StreamServiceImpl::Target> StreamServiceImpl::FindTarget(const std::string& stream,
                                                                        const std::string& group) {
  RETURN_IF_ERROR(CheckName("stream", stream, /*required=*/true));
  RETURN_IF_ERROR(CheckName("consumer_group", group, /*required=*/true));
  Target target;
  target.name = group;
  ASSIGN_OR_RETURN(target.place, catalog_->Find(stream));
  target.database = catalog_->Database(target.place.dsn);
  const std::string key = absl::StrCat(target.place.dsn, "\n", target.place.schema, "\n", stream, "\n", group);
  std::lock_guard lock(mutex_);
  target.group = groups_[key].lock();
  if (target.group == nullptr) {
    std::erase_if(groups_, [](const auto& entry) { return entry.second.expired(); });
    target.group = std::make_shared<Group>();
    groups_[key] = target.group;
  }
  return target;
}

absl::StatusOr<bool> StreamServiceImpl::OnGroup(const Target& target,
                                                absl::FunctionRef<absl::Status(ConsumerGroup&)> work) {
  const StreamTables tables(target.place.schema);
  bool found = false;
  std::lock_guard turn(target.group->turn);
  RETURN_IF_ERROR(target.database->Run([&](PgConnection& sql) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<int64_t> id, FindStreamId(sql, tables, target.place.name));
    if (!id) return absl::OkStatus();
    found = true;
    ConsumerGroup group(sql, tables, *id, target.name);
    return work(group);
  }));
  return found;
}

// ---- pull ----

absl::Duration StreamServiceImpl::WaitOf(const grpc::ServerContext& context,
                                         const v1::StreamPullRequest& request) const {
  absl::Duration wait = settings_.pull_wait;
  if (request.has_wait_milliseconds()) wait = std::min(wait, absl::Milliseconds(request.wait_milliseconds()));
  // An answer after the call's deadline is lost, and with it what was claimed.
  const absl::Duration left = absl::FromChrono(context.deadline()) - absl::Now();
  return std::min(wait, left - std::min(left / 5, absl::Milliseconds(500)));
}

absl::StatusOr<std::optional<PullResult>> StreamServiceImpl::PullOnce(const Target& target, const PullOptions& options,
                                                                      StreamKey* stream,
                                                                      v1::StreamPullResponse* response) {
  const StreamTables tables(target.place.schema);
  std::optional<PullResult> result;
  RETURN_IF_ERROR(target.database->Run([&](PgConnection& sql) -> absl::Status {
    if (stream->second == 0) {
      ASSIGN_OR_RETURN(const std::optional<int64_t> id, FindStreamId(sql, tables, target.place.name));
      if (!id) return absl::OkStatus();
      stream->second = *id;
    }
    ConsumerGroup group(sql, tables, stream->second, target.name);
    response->clear_messages();
    const int64_t most = settings_.max_message - kAnswerFrame;
    ASSIGN_OR_RETURN(result, group.Pull(options, [&](const MessageRow& row) {
      if (static_cast<int64_t>(row.payload.size() + row.key.size()) > most) {
        return absl::ResourceExhaustedError(absl::StrCat("message ", row.id, " of stream '", target.place.name,
                                                         "' is of ", row.payload.size(),
                                                         " bytes, more than WALLABY_MAX_MESSAGE lets into an answer"));
      }
      AddMessage(row, target.place.name, response);
      return absl::OkStatus();
    }));
    return absl::OkStatus();
  }));
  return result;
}

absl::StatusOr<absl::Duration> StreamServiceImpl::Look(const Target& target, const PullOptions& options,
                                                       StreamDatabase::Woken woken, StreamKey* stream,
                                                       v1::StreamPullResponse* response) {
  std::lock_guard turn(target.group->turn);
  const int64_t told = target.database->LastTold(*stream);
  // Another consumer of the group may have taken what this one was woken for.
  if (woken == StreamDatabase::Woken::kMessages && told < target.group->next_id) return kAfterOthers;
  for (bool again = false;;) {
    const absl::StatusOr<std::optional<PullResult>> pulled = PullOnce(target, options, stream, response);
    // Retention has dropped what was just being read.
    if (absl::IsNotFound(pulled.status()) && !std::exchange(again, true)) continue;
    RETURN_IF_ERROR(pulled.status());
    const std::optional<PullResult>& result = *pulled;
    if (!result) return kTablesInterval;
    target.group->next_id = result->next_id;
    if (result->messages > 0) {
      const Labels labels = LabelsOf(target.place.name, target.name);
      MetricRegistry::Process().GetCounter(kStreamPulled, labels).Add(result->messages);
      MetricRegistry::Process().GetCounter(kStreamRedelivered, labels).Add(result->redelivered);
      return absl::ZeroDuration();
    }
    if (result->more) continue;
    if (told >= result->next_id) target.database->Forget(*stream, told);
    return std::max(result->until_visible, kShortest);
  }
}

absl::Status StreamServiceImpl::PullMessages(grpc::ServerContext& context, const v1::StreamPullRequest& request,
                                             v1::StreamPullResponse* response) {
  PullOptions options;
  RETURN_IF_ERROR(CheckName("consumer_id", request.consumer_id(), /*required=*/false));
  options.consumer = request.consumer_id();
  ASSIGN_OR_RETURN(options.max_messages,
                   Number("max_messages", request.max_messages(), kDefaultMessages, kMostMessages));
  ASSIGN_OR_RETURN(const int visibility, Number("visibility_timeout_seconds", request.visibility_timeout_seconds(),
                                                kDefaultVisibility, kMostVisibility));
  options.visibility = absl::Seconds(visibility);
  options.max_bytes = std::min(kAnswerBytes, settings_.max_message - kAnswerFrame);
  if (request.wait_milliseconds() < 0) {
    return Invalid("wait_milliseconds", absl::StrCat(request.wait_milliseconds()), "0 or more");
  }
  ASSIGN_OR_RETURN(const Target target, FindTarget(request.stream(), request.consumer_group()));
  const absl::Time end = absl::Now() + WaitOf(context, request);
  StreamKey stream{target.place.schema, 0};
  auto woken = StreamDatabase::Woken::kPerhaps;
  while (true) {
    ASSIGN_OR_RETURN(const absl::Duration pause, Look(target, options, woken, &stream, response));
    const absl::Duration left = end - absl::Now();
    if (!response->messages().empty() || left <= absl::ZeroDuration()) return absl::OkStatus();
    woken = target.database->Wait(
        stream, [&] { return target.group->next_id.load(); }, std::min(left, pause),
        [&] { return context.IsCancelled(); });
    if (context.IsCancelled()) return absl::CancelledError("the consumer has gone");
    if (woken == StreamDatabase::Woken::kNot && pause >= left) return absl::OkStatus();
  }
}

grpc::Status StreamServiceImpl::Pull(grpc::ServerContext* context, const v1::StreamPullRequest* request,
                                     v1::StreamPullResponse* response) {
  const int64_t running = pulls_.fetch_add(1) + 1;
  const absl::Cleanup done = [this] { pulls_.fetch_sub(1); };
  if (running > settings_.max_pulls) {
    return ToGrpc(absl::ResourceExhaustedError(
        absl::StrCat("the server is answering ", settings_.max_pulls,
                     " pulls, as many as WALLABY_MAX_PULLS allows; try again in a moment")));
  }
  const absl::Status status = PullMessages(*context, *request, response);
  if (!status.ok()) response->Clear();
  return ToGrpc(status);
}

// ---- the others ----

grpc::Status StreamServiceImpl::Ack(grpc::ServerContext*, const v1::StreamAckRequest* request,
                                    v1::StreamAckResponse* response) {
  return ToGrpc([&]() -> absl::Status {
    if (request->ids_size() > kMostAcks) {
      return Invalid("ids", absl::StrCat(request->ids_size()), absl::StrCat("at most ", kMostAcks));
    }
    ASSIGN_OR_RETURN(const Target target, FindTarget(request->stream(), request->consumer_group()));
    int64_t acked = 0;
    RETURN_IF_ERROR(OnGroup(target, [&](ConsumerGroup& group) -> absl::Status {
                      ASSIGN_OR_RETURN(acked, group.Ack({request->ids().begin(), request->ids().end()}));
                      return absl::OkStatus();
                    }).status());
    if (acked > 0) {
      MetricRegistry::Process()
          .GetCounter(kStreamAcked, LabelsOf(request->stream(), request->consumer_group()))
          .Add(acked);
    }
    response->set_acked(acked);
    return absl::OkStatus();
  }());
}

absl::Status StreamServiceImpl::ReplayGroup(const v1::StreamReplayRequest& request, int64_t* reset) {
  ReplayPlace place;
  if (request.from_lsn().empty() != request.has_since()) {
    return absl::InvalidArgumentError("from_lsn and since: give one of them");
  }
  if (!request.from_lsn().empty()) {
    const auto lsn = Lsn::Parse(request.from_lsn());
    if (!lsn.ok()) return Invalid("from_lsn", request.from_lsn(), "a position such as 0/16B3748");
    place.lsn = *lsn;
  } else {
    const auto& since = request.since();
    // Years 1 to 9999, as Timestamp has it.
    if (since.seconds() < -62135596800 || since.seconds() > 253402300799 || since.nanos() < 0 ||
        since.nanos() > 999'999'999) {
      return Invalid("since", absl::StrCat(since.seconds(), " s"), "a time of the years 1 to 9999");
    }
    place.since = absl::FromUnixSeconds(since.seconds()) + absl::Nanoseconds(since.nanos());
  }
  ASSIGN_OR_RETURN(const Target target, FindTarget(request.stream(), request.consumer_group()));
  ASSIGN_OR_RETURN(const bool found, OnGroup(target, [&](ConsumerGroup& group) -> absl::Status {
                     ASSIGN_OR_RETURN(*reset, group.Replay(place));
                     return absl::OkStatus();
                   }));
  if (!found) {
    return absl::FailedPreconditionError(
        absl::StrCat("stream '", target.place.name, "' has no messages yet: its flow has not run"));
  }
  target.database->Wake();
  Log(LogLevel::kInfo, "a consumer group was set back",
      {{"stream", request.stream()}, {"consumer_group", request.consumer_group()}, {"messages", absl::StrCat(*reset)}});
  return absl::OkStatus();
}

grpc::Status StreamServiceImpl::Replay(grpc::ServerContext*, const v1::StreamReplayRequest* request,
                                       v1::StreamReplayResponse* response) {
  int64_t reset = 0;
  const absl::Status status = ReplayGroup(*request, &reset);
  response->set_reset(reset);
  return ToGrpc(status);
}

grpc::Status StreamServiceImpl::DeleteStreamGroup(grpc::ServerContext*, const v1::DeleteStreamGroupRequest* request,
                                                  v1::DeleteStreamGroupResponse* response) {
  return ToGrpc([&]() -> absl::Status {
    ASSIGN_OR_RETURN(const Target target, FindTarget(request->stream(), request->consumer_group()));
    bool deleted = false;
    RETURN_IF_ERROR(OnGroup(target, [&](ConsumerGroup& group) -> absl::Status {
                      ASSIGN_OR_RETURN(deleted, group.Delete());
                      return absl::OkStatus();
                    }).status());
    if (!deleted) {
      return absl::NotFoundError(absl::StrCat("consumer_group: stream '", request->stream(), "' has no group '",
                                              request->consumer_group(), "'"));
    }
    response->set_deleted(true);
    return absl::OkStatus();
  }());
}

namespace {

absl::Status FillStream(PgConnection& sql, const StreamPlace& place, v1::StreamInfo* proto) {
  const StreamTables tables(place.schema);
  ASSIGN_OR_RETURN(const std::optional<int64_t> id, FindStreamId(sql, tables, place.name));
  if (!id) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat("SELECT s.flow_id, s.destination, s.last_id, coalesce(min(g.first_id), 1), "
                             "coalesce(sum(g.bytes), 0)::bigint, (SELECT count(*) FROM ",
                             tables.groups(), " WHERE stream_id = s.id) FROM ", tables.streams(), " s LEFT JOIN ",
                             tables.segments(), " g ON g.stream_id = s.id WHERE s.id = ", *id, " GROUP BY s.id")));
  if (rows.size() == 0) return absl::OkStatus();
  // The row knows its writer also when the flow is gone.
  proto->set_flow_id(std::string(rows.Text(0, 0)));
  proto->set_destination(std::string(rows.Text(0, 1)));
  proto->set_last_id(rows.Int(0, 2));
  proto->set_first_id(rows.Int(0, 3));
  proto->set_bytes(rows.Int(0, 4));
  proto->set_groups(static_cast<int32_t>(rows.Int(0, 5)));
  return absl::OkStatus();
}

}  // namespace

grpc::Status StreamServiceImpl::ListStreams(grpc::ServerContext*, const v1::ListStreamsRequest*,
                                            v1::ListStreamsResponse* response) {
  const auto places = catalog_->All();
  if (!places.ok()) return ToGrpc(places.status());
  for (const StreamPlace& place : *places) {
    v1::StreamInfo* proto = response->add_streams();
    proto->set_name(place.name);
    proto->set_flow_id(place.flow_id);
    proto->set_destination(place.destination);
    absl::Status status = place.trouble;
    if (status.ok()) {
      status = catalog_->Database(place.dsn)->Run([&](PgConnection& sql) { return FillStream(sql, place, proto); });
    }
    if (!status.ok()) proto->set_error(std::string(status.message()));
  }
  return grpc::Status::OK;
}

grpc::Status StreamServiceImpl::ListStreamGroups(grpc::ServerContext*, const v1::ListStreamGroupsRequest* request,
                                                 v1::ListStreamGroupsResponse* response) {
  return ToGrpc([&]() -> absl::Status {
    RETURN_IF_ERROR(CheckName("stream", request->stream(), /*required=*/true));
    ASSIGN_OR_RETURN(const StreamPlace place, catalog_->Find(request->stream()));
    ASSIGN_OR_RETURN(const std::vector<GroupState> groups, catalog_->Groups(place));
    for (const GroupState& group : groups) {
      v1::StreamGroup* proto = response->add_groups();
      proto->set_stream(place.name);
      proto->set_consumer_group(group.name);
      proto->set_lag_messages(group.lag_messages);
      proto->set_lag_seconds(absl::ToDoubleSeconds(group.lag));
      proto->set_in_flight(group.in_flight);
      proto->set_next_id(group.next_id);
      proto->set_redelivered(group.redelivered);
      proto->set_skipped(group.skipped);
    }
    return absl::OkStatus();
  }());
}

}  // namespace wallaby
