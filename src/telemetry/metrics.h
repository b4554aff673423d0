// Metrics: what a process counts and measures about itself.
//
// Recording takes no lock: one relaxed atomic addition (a histogram: three). Instruments are made once, with their
// labels, and live as long as their registry; making one takes a lock, so do it before the hot path. The names, units
// and buckets of all metrics stand in telemetry/metric_table.h.
//
// Values leave the process in three ways, all from Collect(): as Prometheus text (telemetry/prometheus_text.h), as a
// worker's snapshot in the control store (telemetry/metrics_snapshot.h), and through OTLP.
#ifndef WALLABY_TELEMETRY_METRICS_H_
#define WALLABY_TELEMETRY_METRICS_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wallaby {

enum class MetricKind { kCounter, kGauge, kHistogram };

// What is fixed about a metric. Points to static text.
struct MetricDef {
  std::string_view name;  // as OpenTelemetry has it: "wallaby.records.processed"
  MetricKind kind;
  std::string_view unit;  // UCUM: "s", "By", "{record}"
  std::string_view help;
  std::span<const double> bounds = {};  // of a histogram: upper bounds of its buckets, the last one open
};

using Labels = std::vector<std::pair<std::string, std::string>>;

struct HistogramValue {
  std::vector<int64_t> counts;  // by bucket, one more than bounds
  double sum = 0;
  int64_t total() const;
};

struct MetricSample {
  Labels labels;
  double value = 0;          // counter, gauge
  HistogramValue histogram;  // histogram
};

struct MetricFamily {
  const MetricDef* def;
  std::vector<MetricSample> samples;
};

class Counter {
 public:
  void Add(int64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Not a number (the state at first) means that nothing is known; such a gauge is not shown.
class Gauge {
 public:
  Gauge();
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void SetUnknown();
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_;
};

class Histogram {
 public:
  // `bounds` rise and outlive the histogram.
  explicit Histogram(std::span<const double> bounds);
  void Observe(double value);
  HistogramValue value() const;

 private:
  const std::span<const double> bounds_;
  std::vector<std::atomic<int64_t>> counts_;
  std::atomic<double> sum_{0};
};

// Safe from any thread. Defs must be static.
class MetricRegistry {
 public:
  // The process's own; never destroyed.
  static MetricRegistry& Process();

  // The instrument with these labels, made at the first call. The def's kind must fit.
  Counter& GetCounter(const MetricDef& def, const Labels& labels = {});
  Gauge& GetGauge(const MetricDef& def, const Labels& labels = {});
  Histogram& GetHistogram(const MetricDef& def, const Labels& labels = {});

  // Labels of every sample that Collect() gives, unless it has one of that name; for a process that serves one flow.
  void SetCommonLabels(Labels labels);
  // In order of name and labels.
  std::vector<MetricFamily> Collect() const;

 private:
  struct Instruments {
    std::map<Labels, std::unique_ptr<Counter>> counters;
    std::map<Labels, std::unique_ptr<Gauge>> gauges;
    std::map<Labels, std::unique_ptr<Histogram>> histograms;
  };
  struct ByName {
    bool operator()(const MetricDef* a, const MetricDef* b) const { return a->name < b->name; }
  };

  mutable std::mutex mutex_;  // guards the maps; not the values of the instruments
  std::map<const MetricDef*, Instruments, ByName> metrics_;
  Labels common_;
};

// Adds `samples` to the family of `def` in `families`, which is made when missing.
void AddSamples(const MetricDef& def, std::vector<MetricSample> samples, std::vector<MetricFamily>* families);

// Makes one sample of those with the same labels: two processes may have counted the same thing, and Prometheus refuses
// a page that has a series twice. Counters and histograms are added up; of gauges the first stays.
void UniteSamples(std::vector<MetricFamily>* families);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_METRICS_H_
