#include "telemetry/metrics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace wallaby {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

Labels Joined(const Labels& labels, const Labels& common) {
  Labels all = labels;
  for (const auto& one : common) {
    const bool given =
        std::any_of(labels.begin(), labels.end(), [&](const auto& label) { return label.first == one.first; });
    if (!given) all.push_back(one);
  }
  return all;
}

template <typename Instrument, typename Make>
Instrument& FindOrMake(std::map<Labels, std::unique_ptr<Instrument>>& instruments, const Labels& labels, Make make) {
  std::unique_ptr<Instrument>& found = instruments[labels];
  if (found == nullptr) found = make();
  return *found;
}

void AddTo(const MetricSample& more, MetricKind kind, MetricSample* sample) {
  if (kind == MetricKind::kCounter) sample->value += more.value;
  if (kind != MetricKind::kHistogram) return;
  sample->histogram.sum += more.histogram.sum;
  for (size_t i = 0; i < sample->histogram.counts.size() && i < more.histogram.counts.size(); ++i) {
    sample->histogram.counts[i] += more.histogram.counts[i];
  }
}

}  // namespace

int64_t HistogramValue::total() const {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

Gauge::Gauge() : value_(kUnknown) {}

void Gauge::SetUnknown() {
  Set(kUnknown);
}

Histogram::Histogram(std::span<const double> bounds) : bounds_(bounds), counts_(bounds.size() + 1) {}

void Histogram::Observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  double sum = sum_.load(std::memory_order_relaxed);
  while (!sum_.compare_exchange_weak(sum, sum + value, std::memory_order_relaxed)) {
  }
}

HistogramValue Histogram::value() const {
  HistogramValue value;
  for (const auto& count : counts_) value.counts.push_back(count.load(std::memory_order_relaxed));
  value.sum = sum_.load(std::memory_order_relaxed);
  return value;
}

MetricRegistry& MetricRegistry::Process() {
  // Never destroyed: threads may record until the very end.
  static MetricRegistry* const registry = std::make_unique<MetricRegistry>().release();
  return *registry;
}

Counter& MetricRegistry::GetCounter(const MetricDef& def, const Labels& labels) {
  WALLABY_CHECK(def.kind == MetricKind::kCounter, "a counter's definition");
  std::lock_guard lock(mutex_);
  return FindOrMake(metrics_[&def].counters, labels, [] { return std::make_unique<Counter>(); });
}

Gauge& MetricRegistry::GetGauge(const MetricDef& def, const Labels& labels) {
  WALLABY_CHECK(def.kind == MetricKind::kGauge, "a gauge's definition");
  std::lock_guard lock(mutex_);
  return FindOrMake(metrics_[&def].gauges, labels, [] { return std::make_unique<Gauge>(); });
}

Histogram& MetricRegistry::GetHistogram(const MetricDef& def, const Labels& labels) {
  WALLABY_CHECK(def.kind == MetricKind::kHistogram, "a histogram's definition");
  std::lock_guard lock(mutex_);
  return FindOrMake(metrics_[&def].histograms, labels, [&] { return std::make_unique<Histogram>(def.bounds); });
}

void MetricRegistry::SetCommonLabels(Labels labels) {
  std::lock_guard lock(mutex_);
  common_ = std::move(labels);
}

std::vector<MetricFamily> MetricRegistry::Collect() const {
  std::lock_guard lock(mutex_);
  std::vector<MetricFamily> families;
  for (const auto& [def, instruments] : metrics_) {
    MetricFamily family{def, {}};
    for (const auto& [labels, counter] : instruments.counters) {
      family.samples.push_back({Joined(labels, common_), static_cast<double>(counter->value()), {}});
    }
    for (const auto& [labels, gauge] : instruments.gauges) {
      const double value = gauge->value();
      if (!std::isnan(value)) family.samples.push_back({Joined(labels, common_), value, {}});
    }
    for (const auto& [labels, histogram] : instruments.histograms) {
      family.samples.push_back({Joined(labels, common_), 0, histogram->value()});
    }
    if (!family.samples.empty()) families.push_back(std::move(family));
  }
  return families;
}

void UniteSamples(std::vector<MetricFamily>* families) {
  for (MetricFamily& family : *families) {
    std::vector<MetricSample> united;
    std::map<Labels, size_t> at;
    for (MetricSample& sample : family.samples) {
      Labels key = sample.labels;
      std::sort(key.begin(), key.end());
      const auto [found, is_new] = at.emplace(std::move(key), united.size());
      if (is_new) {
        united.push_back(std::move(sample));
      } else {
        AddTo(sample, family.def->kind, &united[found->second]);
      }
    }
    family.samples = std::move(united);
  }
}

void AddSamples(const MetricDef& def, std::vector<MetricSample> samples, std::vector<MetricFamily>* families) {
  if (samples.empty()) return;
  auto family = std::find_if(families->begin(), families->end(),
                             [&](const MetricFamily& one) { return one.def->name == def.name; });
  if (family == families->end()) family = families->insert(families->end(), {&def, {}});
  std::move(samples.begin(), samples.end(), std::back_inserter(family->samples));
}

}  // namespace wallaby
