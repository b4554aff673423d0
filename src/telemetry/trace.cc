#include "telemetry/trace.h"

#include "absl/time/clock.h"

namespace wallaby {
namespace {

thread_local Span* current = nullptr;

}  // namespace

namespace trace_internal {

std::unique_ptr<LiveSpan> StartLive(Tracer* tracer, std::string_view name, const LiveSpan* parent, absl::Time began) {
  return tracer->Start(name, parent, began == absl::InfinitePast() ? absl::Now() : began);
}

}  // namespace trace_internal

void SetTracer(Tracer* tracer) {
  trace_internal::tracer.store(tracer, std::memory_order_release);
}

SpanScope::SpanScope(Span* span) : before_(current) {
  current = span;
}

SpanScope::~SpanScope() {
  current = before_;
}

Span* SpanScope::Current() {
  return current;
}

}  // namespace wallaby
