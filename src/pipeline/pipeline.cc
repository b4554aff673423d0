#include "pipeline/pipeline.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/status.h"

namespace wallaby {
namespace {

std::vector<std::string> Names(const std::vector<OpenDestination>& destinations) {
  std::vector<std::string> names;
  for (const OpenDestination& open : destinations) names.push_back(open.name);
  return names;
}

HistoryMark MarkOf(const Checkpoint& checkpoint) {
  const auto entry = checkpoint.metadata.find(kHistoryMarkKey);
  if (entry == checkpoint.metadata.end()) return {};
  return HistoryMark::Parse(entry->second).value_or(HistoryMark());
}

}  // namespace

Pipeline::Pipeline(std::vector<OpenDestination> destinations, CheckpointStore* checkpoints, Clock* clock,
                   Options options)
    : clock_(clock),
      options_(options),
      ledger_(static_cast<int>(destinations.size()), options.start.lsn, MarkOf(options.start)),
      checkpointer_(&ledger_, checkpoints, clock, &wake_, options.start, Names(destinations)) {
  // An eighth of the budget waits in queues; the rest is for the batch being filled and the destinations.
  const size_t bound = static_cast<size_t>(options_.memory_limit) / 8 / destinations.size();
  for (OpenDestination& open : destinations) {
    auto lane = std::make_unique<Lane>();
    lane->queue = std::make_unique<WriteQueue>(bound, &wake_);
    lane->parts = open.progress.snapshot_parts;
    lane->writer = std::make_unique<Writer>(static_cast<int>(lanes_.size()), open.name, open.destination, open.progress,
                                            lane->queue.get(), &ledger_, clock_,
                                            [this](int index, const std::vector<std::string>& parts) {
                                              std::lock_guard lock(mutex_);
                                              lanes_[index]->parts.insert(parts.begin(), parts.end());
                                              ++part_steps_;
                                              stepped_.notify_all();
                                            });
    lane->open = std::move(open);
    lanes_.push_back(std::move(lane));
  }
  for (auto& lane : lanes_) {
    lane->thread = std::thread([this, writer = lane->writer.get()] {
      const TraceFlowScope traced = Traced();
      Fail(writer->Run());
    });
  }
  checkpoint_thread_ = std::thread([this] {
    const TraceFlowScope traced = Traced();
    Fail(checkpointer_.Run(stop_checkpoints_));
  });
}

Pipeline::~Pipeline() {
  JoinAll(/*discard=*/true);
}

void Pipeline::Stop() {
  stop_ = true;
  wake_.Set();
  // Under the lock, so that a waiter cannot miss it between its check and its sleep.
  std::lock_guard lock(mutex_);
  ++part_steps_;
  stepped_.notify_all();
}

void Pipeline::Fail(const absl::Status& status) {
  if (status.ok()) return;
  {
    std::lock_guard lock(mutex_);
    if (first_error_.ok()) first_error_ = status;
  }
  for (auto& lane : lanes_) lane->queue->Close(/*discard=*/true);
  Stop();
}

absl::Status Pipeline::FirstError() const {
  std::lock_guard lock(mutex_);
  return first_error_;
}

absl::Status Pipeline::PushSnapshot(std::unique_ptr<ChangeBatch> batch, bool finishes_part) {
  const BatchPtr shared = instruments_.HandOn(std::move(batch), clock_, clock_->Monotonic(), Span("stream.batch"));
  for (auto& lane : lanes_) {
    {
      std::lock_guard lock(mutex_);
      if (lane->parts.contains(shared->snapshot_part())) continue;
    }
    if (stop_ || !lane->queue->Push(WriteItem{shared, finishes_part}, shared->bytes())) {
      RETURN_IF_ERROR(FirstError());
      return absl::CancelledError("the worker is ending");
    }
  }
  return absl::OkStatus();
}

bool Pipeline::DurableEverywhere(const std::string& part) const {
  return std::all_of(lanes_.begin(), lanes_.end(), [&](const auto& lane) { return lane->parts.contains(part); });
}

absl::Status Pipeline::AwaitParts(const std::set<std::string>& parts, const std::function<void()>& progress) {
  while (true) {
    int64_t step;
    {
      std::lock_guard lock(mutex_);
      RETURN_IF_ERROR(first_error_);
      if (std::all_of(parts.begin(), parts.end(),
                      [this](const std::string& part) { return DurableEverywhere(part); })) {
        return absl::OkStatus();
      }
      if (stop_) return absl::CancelledError("the worker is ending");
      step = part_steps_;
    }
    progress();
    std::unique_lock lock(mutex_);
    stepped_.wait_for(lock, std::chrono::seconds(1), [&] { return part_steps_ != step; });
  }
}

int64_t Pipeline::PartsDurable(const std::string& prefix) const {
  std::lock_guard lock(mutex_);
  const auto& first = lanes_.front()->parts;
  int64_t count = 0;
  for (auto it = first.lower_bound(prefix); it != first.end() && it->starts_with(prefix); ++it) {
    count += DurableEverywhere(*it) ? 1 : 0;
  }
  return count;
}

absl::Status Pipeline::RunStream(ReplicationStream* stream, pgoutput::Assembler* assembler) {
  std::vector<WriteQueue*> queues;
  for (auto& lane : lanes_) queues.push_back(lane->queue.get());
  Reader reader(stream, assembler, std::move(queues), &ledger_, &checkpointer_.acknowledged(), clock_, &wake_,
                options_.reader);
  const absl::Status status = reader.Run(stop_);
  if (!status.ok()) {
    // What went wrong first is the cause, also when it was a writer and the stream's error only followed.
    const absl::Status first = FirstError();
    return first.ok() ? status : first;
  }
  barrier_ = reader.barrier();
  // What was left out before the barrier must not come again: once the barrier's DDL is settled, the rule that left it
  // out may be gone.
  RETURN_IF_ERROR(Finish(barrier_.valid() ? reader.read_through() : Lsn{}, reader.read_mark()));
  return reader.SendLastFeedback();
}

absl::Status Pipeline::Finish(Lsn read_through, const HistoryMark& mark) {
  JoinAll(/*discard=*/false);
  RETURN_IF_ERROR(FirstError());
  if (read_through.valid()) ledger_.Idle(read_through, mark);
  return checkpointer_.StoreLast();
}

void Pipeline::JoinAll(bool discard) {
  for (auto& lane : lanes_) lane->queue->Close(discard);
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
  stop_checkpoints_ = true;
  ledger_.Close();
  if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
}

int64_t Pipeline::changes_delivered() const {
  int64_t least = INT64_MAX;
  for (const auto& lane : lanes_) least = std::min(least, lane->writer->stats().changes.load());
  return least;
}

std::vector<DestinationLoad> Pipeline::loads() const {
  std::vector<DestinationLoad> loads;
  const std::vector<Lsn> durable = ledger_.durable();
  const Lsn everywhere = ledger_.position();
  for (size_t i = 0; i < lanes_.size(); ++i) {
    DestinationLoad& load = loads.emplace_back(lanes_[i]->writer->load());
    // What is acknowledged is durable everywhere, also where nothing was handed on.
    load.position = std::max(durable[i], everywhere);
    load.settled = ledger_.settled(static_cast<int>(i));
  }
  return loads;
}

int64_t Pipeline::reached_micros() const {
  int64_t oldest = 0;
  for (const auto& lane : lanes_) {
    const int64_t reached = lane->writer->reached_micros();
    if (reached > 0 && (oldest == 0 || reached < oldest)) oldest = reached;
  }
  return oldest;
}

}  // namespace wallaby
