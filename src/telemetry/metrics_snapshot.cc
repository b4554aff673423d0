#include "telemetry/metrics_snapshot.h"

#include <utility>

#include "nlohmann/json.hpp"
#include "telemetry/json_text.h"
#include "telemetry/metric_table.h"

namespace wallaby {
namespace {

using nlohmann::json;

const MetricDef* FindDef(const std::string& name) {
  for (const MetricDef* def : kAllMetrics) {
    if (def->name == name) return def;
  }
  return nullptr;
}

// {"l": {label: value}, "v": value} or, of a histogram, {"l": ..., "c": [counts], "s": sum}.
json ToJson(const MetricSample& sample, MetricKind kind) {
  json out = json::object();
  if (!sample.labels.empty()) {
    json& labels = out["l"] = json::object();
    for (const auto& [name, value] : sample.labels) labels[name] = ValidUtf8(value);
  }
  if (kind == MetricKind::kHistogram) {
    out["c"] = sample.histogram.counts;
    out["s"] = sample.histogram.sum;
  } else {
    out["v"] = sample.value;
  }
  return out;
}

bool ReadHistogram(const json& in, size_t buckets, HistogramValue* value) {
  const auto counts = in.find("c");
  const auto sum = in.find("s");
  if (counts == in.end() || !counts->is_array() || counts->size() != buckets || sum == in.end() || !sum->is_number()) {
    return false;
  }
  for (const json& count : *counts) {
    if (!count.is_number_integer()) return false;
    value->counts.push_back(count.get<int64_t>());
  }
  value->sum = sum->get<double>();
  return true;
}

bool ReadSample(const json& in, const MetricDef& def, MetricSample* sample) {
  if (!in.is_object()) return false;
  if (const auto labels = in.find("l"); labels != in.end()) {
    if (!labels->is_object()) return false;
    for (const auto& [name, value] : labels->items()) {
      if (!value.is_string()) return false;
      sample->labels.emplace_back(name, value.get<std::string>());
    }
  }
  if (def.kind == MetricKind::kHistogram) return ReadHistogram(in, def.bounds.size() + 1, &sample->histogram);
  const auto value = in.find("v");
  if (value == in.end() || !value->is_number()) return false;
  sample->value = value->get<double>();
  return true;
}

}  // namespace

std::string EncodeMetrics(const std::vector<MetricFamily>& families) {
  json metrics = json::object();
  for (const MetricFamily& family : families) {
    json& samples = metrics[std::string(family.def->name)] = json::array();
    for (const MetricSample& sample : family.samples) samples.push_back(ToJson(sample, family.def->kind));
  }
  return json{{"metrics", std::move(metrics)}}.dump();
}

absl::StatusOr<std::vector<MetricFamily>> DecodeMetrics(std::string_view snapshot) {
  std::vector<MetricFamily> families;
  if (snapshot.empty()) return families;
  const json root = json::parse(snapshot, nullptr, /*allow_exceptions=*/false);
  const auto metrics = root.is_object() ? root.find("metrics") : root.end();
  if (metrics == root.end() || !metrics->is_object()) {
    return absl::InvalidArgumentError("a worker's metrics in the control store are not as a worker writes them");
  }
  for (const auto& [name, samples] : metrics->items()) {
    const MetricDef* def = FindDef(name);
    if (def == nullptr || !samples.is_array()) continue;
    std::vector<MetricSample> read;
    for (const json& one : samples) {
      MetricSample sample;
      if (ReadSample(one, *def, &sample)) read.push_back(std::move(sample));
    }
    AddSamples(*def, std::move(read), &families);
  }
  return families;
}

}  // namespace wallaby
