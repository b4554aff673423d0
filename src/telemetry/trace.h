// Span: a named stretch of work for distributed traces. Without a tracer (OTLP is off) making one costs an atomic load.
//
//   Span span("destination.write");
//   span.Set("records", 17);
//
// A span belongs to one thread at a time and may be handed on by move. Names and keys are static text.
#ifndef WALLABY_TELEMETRY_TRACE_H_
#define WALLABY_TELEMETRY_TRACE_H_

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"

namespace wallaby {

using SpanAttributes = std::initializer_list<std::pair<std::string_view, std::string>>;

// A span that is being recorded, as an exporter has it. It ends when it goes.
class LiveSpan {
 public:
  virtual ~LiveSpan() = default;
  virtual void Set(std::string_view key, int64_t value) = 0;
  virtual void Set(std::string_view key, std::string_view value) = 0;
  virtual void AddEvent(std::string_view name, SpanAttributes attributes) = 0;
  virtual void SetError(std::string_view message) = 0;
};

// Makes spans; safe from any thread, and lives until the process ends.
class Tracer {
 public:
  virtual ~Tracer() = default;
  // `parent` may be null. `began` may be in the past.
  virtual std::unique_ptr<LiveSpan> Start(std::string_view name, const LiveSpan* parent, absl::Time began) = 0;
};

namespace trace_internal {
inline std::atomic<Tracer*> tracer{nullptr};
std::unique_ptr<LiveSpan> StartLive(Tracer* tracer, std::string_view name, const LiveSpan* parent, absl::Time began);
}  // namespace trace_internal

// From now on spans are recorded by `tracer`; null ends that. Call it from main(), before threads start.
void SetTracer(Tracer* tracer);
inline bool IsTracing() {
  return trace_internal::tracer.load(std::memory_order_relaxed) != nullptr;
}

class Span {
 public:
  Span() = default;  // records nothing
  // With `began` at InfinitePast(), it begins now.
  explicit Span(std::string_view name, const Span* parent = nullptr, absl::Time began = absl::InfinitePast()) {
    Tracer* const tracer = trace_internal::tracer.load(std::memory_order_relaxed);
    if (tracer != nullptr) [[unlikely]] {
      live_ = trace_internal::StartLive(tracer, name, parent == nullptr ? nullptr : parent->live_.get(), began);
    }
  }
  Span(Span&&) = default;
  Span& operator=(Span&&) = default;

  void Set(std::string_view key, int64_t value) {
    if (live_ != nullptr) live_->Set(key, value);
  }
  void Set(std::string_view key, std::string_view value) {
    if (live_ != nullptr) live_->Set(key, value);
  }
  void AddEvent(std::string_view name, SpanAttributes attributes) {
    if (live_ != nullptr) live_->AddEvent(name, attributes);
  }
  void SetError(std::string_view message) {
    if (live_ != nullptr) live_->SetError(message);
  }
  void End() { live_.reset(); }
  // Whether it is being recorded.
  explicit operator bool() const { return live_ != nullptr; }

 private:
  std::unique_ptr<LiveSpan> live_;
};

// Names `span` as the one that this thread works for, so that events without a span at hand are added to it
// (telemetry/trace_events.h). Nests; the span outlives this object.
class SpanScope {
 public:
  explicit SpanScope(Span* span);
  ~SpanScope();
  SpanScope(const SpanScope&) = delete;
  SpanScope& operator=(const SpanScope&) = delete;
  // Null when there is none.
  static Span* Current();

 private:
  Span* const before_;
};

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_TRACE_H_
