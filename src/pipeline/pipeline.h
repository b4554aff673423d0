// Pipeline: one try at running a flow, from open destinations and a started stream to its end: threads and hand-over.
//
// Thread use: Run*() on the caller's thread is the reader; one thread per destination; one for checkpoints.
#ifndef WALLABY_PIPELINE_PIPELINE_H_
#define WALLABY_PIPELINE_PIPELINE_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/event.h"
#include "destination/destination.h"
#include "pipeline/ack_ledger.h"
#include "pipeline/checkpoint_store.h"
#include "pipeline/checkpointer.h"
#include "pipeline/instruments.h"
#include "pipeline/reader.h"
#include "pipeline/writer.h"
#include "telemetry/trace_events.h"

namespace wallaby {

struct OpenDestination {
  std::string name;
  Destination* destination = nullptr;
  Progress progress;
};

class Pipeline {
 public:
  struct Options {
    int64_t memory_limit = 256 << 20;
    ReaderOptions reader;
    Checkpoint start;  // stored already
    // Whose events in the runtime trace its threads' are, where not the process's flow (telemetry/trace_events.h).
    std::string trace_flow;
    int64_t generation = 0;
  };

  // Starts the writers. All pointers must outlive the object.
  Pipeline(std::vector<OpenDestination> destinations, CheckpointStore* checkpoints, Clock* clock, Options options);
  // Ends all threads; what is not committed is left to the next try.
  ~Pipeline();

  // ---- snapshot: any thread ----
  // Hands one batch of a table's copy to every writer; waits for room. CANCELLED when the pipeline is ending.
  absl::Status PushSnapshot(std::unique_ptr<ChangeBatch> batch, bool finishes_part);
  // Waits until each of the parts is durable at every destination, or the pipeline fails or stops. Calls `progress`
  // after each step.
  absl::Status AwaitParts(const std::set<std::string>& parts, const std::function<void()>& progress);
  // How many of the part names that begin with `prefix` are durable everywhere.
  int64_t PartsDurable(const std::string& prefix) const;

  // ---- streaming: the caller's thread ----
  // Until Stop(), the reader's own end (reader.h) or an error. On a clean end all whole transactions that were handed
  // on are committed, checkpointed and acknowledged, unless settled() says otherwise: a writer that had begun with a
  // transaction which was then held leaves what it had not committed to the next try.
  absl::Status RunStream(ReplicationStream* stream, pgoutput::Assembler* assembler);

  // Before which transaction the stream ended; 0/0: none. After RunStream().
  Lsn barrier() const { return barrier_; }

  // From any thread: end soon and clean.
  void Stop();
  bool stopping() const { return stop_; }
  // From any thread: end now with this error, unless it is OK or another came first.
  void Fail(const absl::Status& status);

  // Figures for reports. Valid while the object lives.
  int64_t changes_delivered() const;
  int64_t reached_micros() const;  // the oldest of the destinations'; 0: nothing has come to any
  std::vector<DestinationLoad> loads() const;
  Lsn acknowledged() const { return Lsn{checkpointer_.acknowledged().load()}; }
  Lsn position() const { return ledger_.position(); }
  bool settled() const { return ledger_.settled(); }

 private:
  struct Lane {
    OpenDestination open;
    std::unique_ptr<WriteQueue> queue;
    std::unique_ptr<Writer> writer;
    std::thread thread;
    std::set<std::string> parts;  // durable there; guarded by Pipeline::mutex_
  };

  absl::Status FirstError() const;
  bool DurableEverywhere(const std::string& part) const;  // under mutex_
  // Closes the queues and joins the writers, then stores the last checkpoint: at `read_through`, if all is settled.
  absl::Status Finish(Lsn read_through, const HistoryMark& mark);
  void JoinAll(bool discard);
  TraceFlowScope Traced() const { return {options_.trace_flow, options_.generation}; }

  Clock* const clock_;
  const Options options_;
  Event wake_;
  AckLedger ledger_;
  ReaderInstruments instruments_;  // of the snapshot's batches
  Checkpointer checkpointer_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::thread checkpoint_thread_;
  Lsn barrier_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> stop_checkpoints_{false};

  mutable std::mutex mutex_;  // guards what is below, and Lane::parts
  std::condition_variable stepped_;
  absl::Status first_error_;
  int64_t part_steps_ = 0;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_PIPELINE_H_
