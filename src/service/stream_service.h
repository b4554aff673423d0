// StreamService: hands the messages of streams out to consumers in groups. docs/streams.md.
#ifndef WALLABY_SERVICE_STREAM_SERVICE_H_
#define WALLABY_SERVICE_STREAM_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flow/access_settings.h"
#include "service/stream_catalog.h"
#include "stream/consumer_group.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {

// Safe from any thread.
class StreamServiceImpl final : public v1::StreamService::Service {
 public:
  // `catalog` outlives the service.
  StreamServiceImpl(StreamCatalog* catalog, const AccessSettings& settings) : catalog_(catalog), settings_(settings) {}

  grpc::Status Pull(grpc::ServerContext* context, const v1::StreamPullRequest* request,
                    v1::StreamPullResponse* response) override;
  grpc::Status Ack(grpc::ServerContext*, const v1::StreamAckRequest* request, v1::StreamAckResponse* response) override;
  grpc::Status Replay(grpc::ServerContext*, const v1::StreamReplayRequest* request,
                      v1::StreamReplayResponse* response) override;
  grpc::Status ListStreams(grpc::ServerContext*, const v1::ListStreamsRequest* request,
                           v1::ListStreamsResponse* response) override;
  grpc::Status ListStreamGroups(grpc::ServerContext*, const v1::ListStreamGroupsRequest* request,
                                v1::ListStreamGroupsResponse* response) override;
  grpc::Status DeleteStreamGroup(grpc::ServerContext*, const v1::DeleteStreamGroupRequest* request,
                                 v1::DeleteStreamGroupResponse* response) override;

 private:
  // A group as this process knows it. Its consumers take turns here, so that those who wait for their turn hold no
  // connection.
  struct Group {
    std::mutex turn;
    std::atomic<int64_t> next_id{1};  // as the last pull left it
  };
  // A group within its stream, for one call.
  struct Target {
    StreamPlace place;
    std::shared_ptr<StreamDatabase> database;
    std::shared_ptr<Group> group;
    std::string name;  // of the group
  };

  absl::StatusOr<Target> FindTarget(const std::string& stream, const std::string& group);
  // Calls `work` with the group, in its turn. False when the stream has no tables yet.
  absl::StatusOr<bool> OnGroup(const Target& target, absl::FunctionRef<absl::Status(ConsumerGroup&)> work);
  absl::Status PullMessages(grpc::ServerContext& context, const v1::StreamPullRequest& request,
                            v1::StreamPullResponse* response);
  // One look, without waiting. Nothing: the stream has no tables yet.
  absl::StatusOr<std::optional<PullResult>> PullOnce(const Target& target, const PullOptions& options,
                                                     StreamKey* stream, v1::StreamPullResponse* response);
  // In its turn, takes what there is into the response; without messages, gives how long to wait for another look.
  absl::StatusOr<absl::Duration> Look(const Target& target, const PullOptions& options, StreamDatabase::Woken woken,
                                      StreamKey* stream, v1::StreamPullResponse* response);
  absl::Status ReplayGroup(const v1::StreamReplayRequest& request, int64_t* reset);
  absl::Duration WaitOf(const grpc::ServerContext& context, const v1::StreamPullRequest& request) const;

  StreamCatalog* const catalog_;
  const AccessSettings settings_;
  std::atomic<int64_t> pulls_{0};  // that are being answered or wait
  std::mutex mutex_;               // guards what follows
  std::map<std::string, std::weak_ptr<Group>> groups_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_STREAM_SERVICE_H_
