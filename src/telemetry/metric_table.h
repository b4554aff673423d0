// Every metric of WALlaby: its name, unit, meaning and buckets (docs/metrics.md says the same for operators).
#ifndef WALLABY_TELEMETRY_METRIC_TABLE_H_
#define WALLABY_TELEMETRY_METRIC_TABLE_H_

#include <array>
#include <span>
#include <string_view>

#include "telemetry/metrics.h"

namespace wallaby {

inline constexpr std::array<double, 14> kSecondBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                         0.1,    0.25,  0.5,    1,     2.5,  10,    60};
inline constexpr std::array<double, 10> kRecordBounds = {1, 10, 50, 100, 500, 1000, 5000, 10000, 50000, 100000};

// ---- a flow's worker ----
inline constexpr MetricDef kRecordsProcessed = {
    "wallaby.records.processed", MetricKind::kCounter, "{record}",
    "Changes and copied rows that were read from the source and handed to the destinations"};
inline constexpr MetricDef kBatchesProcessed = {"wallaby.batches.processed", MetricKind::kCounter, "{batch}",
                                                "Batches that were handed to the destinations"};
inline constexpr MetricDef kBatchRecords = {"wallaby.batch.records", MetricKind::kHistogram, "{record}",
                                            "Changes in a batch", kRecordBounds};
inline constexpr MetricDef kBatchLatency = {
    "wallaby.batch.latency", MetricKind::kHistogram, "s",
    "From a batch's first change until the last destination is done with the batch", kSecondBounds};
inline constexpr MetricDef kSourceReadLatency = {"wallaby.source.read.latency", MetricKind::kHistogram, "s",
                                                 "Time to take what had arrived from the source's stream and decode it",
                                                 kSecondBounds};
inline constexpr MetricDef kReplicationLag = {"wallaby.source.replication.lag", MetricKind::kGauge, "By",
                                              "WAL of the source that the flow has not confirmed"};
inline constexpr MetricDef kSlotRetained = {"wallaby.source.slot.retained", MetricKind::kGauge, "By",
                                            "WAL that the source keeps on its disk because of the flow's slot"};
inline constexpr MetricDef kSlotActive = {"wallaby.source.slot.active", MetricKind::kGauge, "",
                                          "1 while somebody streams from the flow's slot, else 0"};
inline constexpr MetricDef kSlotGrowth = {"wallaby.source.slot.growth", MetricKind::kGauge, "By/s",
                                          "Rate at which the WAL grows that the source keeps because of the slot"};
inline constexpr MetricDef kSlotSafeWal = {"wallaby.source.slot.safe_wal", MetricKind::kGauge, "By",
                                           "WAL that may still be written before the slot is given up"};
inline constexpr MetricDef kSlotTimeToLimit = {"wallaby.source.slot.time_to_limit", MetricKind::kGauge, "s",
                                               "Time until the slot is given up, if it goes on growing as it does"};
inline constexpr MetricDef kSlotHolderAge = {
    "wallaby.source.slot.holder.age", MetricKind::kGauge, "s",
    "Age of the oldest open or prepared transaction at the source, which keeps the slot from letting go of WAL"};
inline constexpr MetricDef kSlotLost = {"wallaby.source.slot.lost", MetricKind::kGauge, "",
                                        "1 while the flow's slot is lost or invalid, else 0"};
inline constexpr MetricDef kDestinationQueue = {"wallaby.destination.queue", MetricKind::kGauge, "By",
                                                "What waits in the worker for the destination"};
inline constexpr MetricDef kDestinationQueueLimit = {"wallaby.destination.queue.limit", MetricKind::kGauge, "By",
                                                     "What may wait there before the worker stops reading"};
inline constexpr MetricDef kDestinationBusy = {"wallaby.destination.busy", MetricKind::kGauge, "s",
                                               "How long the destination has been at one write or commit"};
inline constexpr MetricDef kDestinationLag = {"wallaby.destination.lag", MetricKind::kGauge, "By",
                                              "WAL of the source that is not durable at the destination"};
inline constexpr MetricDef kDestinationLagTime = {
    "wallaby.destination.lag.time", MetricKind::kGauge, "s",
    "Age of the newest transaction that is durable at the destination; 0 when nothing is on its way there"};
inline constexpr MetricDef kDestinationFailing = {
    "wallaby.destination.failing", MetricKind::kGauge, "s",
    "Time since the destination fails and nothing gets on there; 0 while it does not"};
inline constexpr MetricDef kDestinationFailed = {
    "wallaby.destination.failed", MetricKind::kGauge, "",
    "1 while the destination is given up until the flow's next start and the others go on, else 0"};
inline constexpr MetricDef kWorkerFailing = {"wallaby.worker.failing", MetricKind::kGauge, "s",
                                             "Time since attempts to run the flow fail and nothing gets on"};
inline constexpr MetricDef kSpoolSize = {"wallaby.spool.size", MetricKind::kGauge, "By",
                                         "What all spools in the folder take on the disk"};
inline constexpr MetricDef kSpoolLimit = {"wallaby.spool.limit", MetricKind::kGauge, "By",
                                          "What they may take (WALLABY_SPOOL_LIMIT); 0: no limit"};
inline constexpr MetricDef kSpoolBehind = {"wallaby.spool.behind", MetricKind::kGauge, "By",
                                           "What of its slot's spool the flow has not delivered"};
inline constexpr MetricDef kSpoolFullIn = {
    "wallaby.spool.full_in", MetricKind::kGauge, "s",
    "Time until the limit is reached, at the rate of the last minute; unknown while it is not in sight"};
inline constexpr MetricDef kDestinationWrites = {"wallaby.destination.write.total", MetricKind::kCounter, "{batch}",
                                                 "Batches that a destination has taken"};
inline constexpr MetricDef kDestinationWriteLatency = {"wallaby.destination.write.latency", MetricKind::kHistogram, "s",
                                                       "Time in which a destination takes a batch", kSecondBounds};
inline constexpr MetricDef kDestinationCommitLatency = {"wallaby.destination.commit.latency", MetricKind::kHistogram,
                                                        "s", "Time in which a destination makes durable what it took",
                                                        kSecondBounds};
inline constexpr MetricDef kDeadLetters = {"wallaby.destination.dead_letters", MetricKind::kCounter, "{request}",
                                           "Requests that a receiver did not take and that were kept as dead letters"};
inline constexpr MetricDef kDestinationDropped = {
    "wallaby.destination.dropped", MetricKind::kCounter, "{change}",
    "Changes that a destination has left out because an option of it says so"};
inline constexpr MetricDef kClaimChecks = {"wallaby.destination.claim_checks", MetricKind::kCounter, "{message}",
                                           "Messages whose payload was put into a bucket as it was too large"};
inline constexpr MetricDef kDdlApplied = {"wallaby.destination.ddl.applied", MetricKind::kCounter, "{event}",
                                          "Schema changes that a destination has followed, by the destination's type"};
inline constexpr MetricDef kCheckpointCommits = {"wallaby.checkpoints.commits", MetricKind::kCounter, "{checkpoint}",
                                                 "Checkpoints that were stored"};
inline constexpr MetricDef kCheckpointGetLatency = {"wallaby.checkpoint.get.latency", MetricKind::kHistogram, "s",
                                                    "Time to read a checkpoint", kSecondBounds};
inline constexpr MetricDef kCheckpointPutLatency = {"wallaby.checkpoint.put.latency", MetricKind::kHistogram, "s",
                                                    "Time to store a checkpoint", kSecondBounds};
inline constexpr MetricDef kErrors = {"wallaby.errors.total", MetricKind::kCounter, "{error}",
                                      "Errors that ended an attempt to run the flow, by status code"};

// ---- the server: from the control store ----
inline constexpr MetricDef kDdlGated = {"wallaby.ddl.gated_total", MetricKind::kCounter, "{event}",
                                        "Schema changes for which a flow was paused until they are approved"};
inline constexpr MetricDef kFlowsActive = {"wallaby.flows.active", MetricKind::kGauge, "{flow}",
                                           "Flows in state running"};
inline constexpr MetricDef kFlowState = {"wallaby.flow.state", MetricKind::kGauge, "",
                                         "1 for the state that the flow is in, 0 for the others"};
inline constexpr MetricDef kFlowStateTransitions = {"wallaby.flow.state.transitions", MetricKind::kCounter,
                                                    "{transition}", "Changes of state, of all flows"};
inline constexpr MetricDef kFlowsCreated = {"wallaby.flow.create.total", MetricKind::kCounter, "{flow}",
                                            "Flows that were created"};
inline constexpr MetricDef kWorkerReportAge = {"wallaby.worker.report.age", MetricKind::kGauge, "s",
                                               "Time since the flow's worker last told about itself"};
inline constexpr MetricDef kCheckpointAge = {"wallaby.checkpoint.age", MetricKind::kGauge, "s",
                                             "Time since the flow's checkpoint last moved"};
inline constexpr MetricDef kStoreUp = {"wallaby.control_store.up", MetricKind::kGauge, "",
                                       "1 while the control store answers, else 0"};
inline constexpr MetricDef kBuildInfo = {"wallaby.build.info", MetricKind::kGauge, "", "Always 1; the labels tell"};

// ---- the server itself ----
inline constexpr MetricDef kGrpcRequests = {"wallaby.grpc.requests.total", MetricKind::kCounter, "{request}",
                                            "Calls that were answered; status is ok or error"};
inline constexpr MetricDef kGrpcErrors = {"wallaby.grpc.errors.total", MetricKind::kCounter, "{request}",
                                          "Calls that were answered with an error, by status code"};
inline constexpr MetricDef kGrpcLatency = {"wallaby.grpc.request.latency", MetricKind::kHistogram, "s",
                                           "Time to answer a call", kSecondBounds};

// ---- the server: streams, by stream and consumer_group ----
inline constexpr MetricDef kStreamPulled = {"wallaby.stream.pulled", MetricKind::kCounter, "{message}",
                                            "Messages that were handed out to consumers of the group"};
inline constexpr MetricDef kStreamRedelivered = {"wallaby.stream.redelivered", MetricKind::kCounter, "{message}",
                                                 "Of those, how many not for the first time"};
inline constexpr MetricDef kStreamAcked = {"wallaby.stream.acked", MetricKind::kCounter, "{message}",
                                           "Messages that the group has acknowledged"};
inline constexpr MetricDef kStreamLagMessages = {"wallaby.stream.lag.messages", MetricKind::kGauge, "{message}",
                                                 "Messages that the group has not acknowledged"};
inline constexpr MetricDef kStreamLagSeconds = {"wallaby.stream.lag.seconds", MetricKind::kGauge, "s",
                                                "Age of the oldest message that the group has not acknowledged"};

inline constexpr std::array<const MetricDef*, 53> kAllMetrics = {&kRecordsProcessed,
                                                                 &kBatchesProcessed,
                                                                 &kBatchRecords,
                                                                 &kBatchLatency,
                                                                 &kSourceReadLatency,
                                                                 &kReplicationLag,
                                                                 &kSlotRetained,
                                                                 &kSlotActive,
                                                                 &kSlotGrowth,
                                                                 &kSlotSafeWal,
                                                                 &kSlotTimeToLimit,
                                                                 &kSlotHolderAge,
                                                                 &kSlotLost,
                                                                 &kDestinationQueue,
                                                                 &kDestinationQueueLimit,
                                                                 &kDestinationBusy,
                                                                 &kDestinationLag,
                                                                 &kDestinationLagTime,
                                                                 &kDestinationFailing,
                                                                 &kDestinationFailed,
                                                                 &kWorkerFailing,
                                                                 &kSpoolSize,
                                                                 &kSpoolLimit,
                                                                 &kSpoolBehind,
                                                                 &kSpoolFullIn,
                                                                 &kDestinationWrites,
                                                                 &kDestinationWriteLatency,
                                                                 &kDestinationCommitLatency,
                                                                 &kDeadLetters,
                                                                 &kDestinationDropped,
                                                                 &kClaimChecks,
                                                                 &kDdlApplied,
                                                                 &kCheckpointCommits,
                                                                 &kCheckpointGetLatency,
                                                                 &kCheckpointPutLatency,
                                                                 &kErrors,
                                                                 &kDdlGated,
                                                                 &kFlowsActive,
                                                                 &kFlowState,
                                                                 &kFlowStateTransitions,
                                                                 &kFlowsCreated,
                                                                 &kWorkerReportAge,
                                                                 &kCheckpointAge,
                                                                 &kStoreUp,
                                                                 &kBuildInfo,
                                                                 &kGrpcRequests,
                                                                 &kGrpcErrors,
                                                                 &kGrpcLatency,
                                                                 &kStreamPulled,
                                                                 &kStreamRedelivered,
                                                                 &kStreamAcked,
                                                                 &kStreamLagMessages,
                                                                 &kStreamLagSeconds};

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_METRIC_TABLE_H_
