#include "cli/flow_file_input.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mask.h"
#include "base/status.h"
#include "service/flow_convert.h"

namespace wallaby {
namespace {

// Far above any flow; what is larger is another file.
constexpr size_t kMaxFile = 4 << 20;

absl::StatusOr<std::string> ReadAll(std::istream& in, const std::string& path) {
  std::string text;
  char piece[64 << 10];
  while (in.read(piece, sizeof(piece)), in.gcount() > 0) {
    text.append(piece, static_cast<size_t>(in.gcount()));
    if (text.size() > kMaxFile) return absl::InvalidArgumentError(absl::StrCat(path, " is too large for a flow file"));
  }
  if (in.bad()) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  return text;
}

absl::StatusOr<std::string> ReadPath(const std::string& path) {
  if (path == "-") return ReadAll(std::cin, "standard input");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  return ReadAll(file, path);
}

std::string Shown(const std::string& path) {
  return path == "-" ? "standard input" : path;
}

bool HasMask(const Endpoint& endpoint) {
  for (const auto& [name, value] : endpoint.options) {
    if (absl::StrContains(value, kSecretMask)) return true;
  }
  return false;
}

// A mapping's file stands where the flow file says, seen from that file. Its text goes into the flow, so that neither
// server nor workers need the file.
absl::Status TakeMappingFile(const std::string& flow_path, Endpoint* destination) {
  const auto option = destination->options.find("mapping_file");
  if (option == destination->options.end() || option->second.empty()) return absl::OkStatus();
  const std::string title = absl::StrCat("option mapping_file of destination '", destination->name, "'");
  if (destination->options.contains("mapping")) {
    return absl::InvalidArgumentError(absl::StrCat(title, ": there is a mapping too; give one of them"));
  }
  std::filesystem::path path = option->second;
  if (path.is_relative() && flow_path != "-") path = std::filesystem::path(flow_path).parent_path() / path;
  auto text = ReadPath(path.string());
  if (!text.ok()) return Annotate(text.status(), title);
  destination->options.erase(option);
  destination->options["mapping"] = *std::move(text);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Flow> ReadFlowFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadPath(path));
  absl::StatusOr<Flow> flow = ParseFlow(text);
  if (!flow.ok()) return Annotate(flow.status(), Shown(path));
  for (Endpoint& destination : flow->destinations) {
    RETURN_IF_ERROR(Annotate(TakeMappingFile(path, &destination), Shown(path)));
  }
  return flow;
}

absl::Status CheckFlowFile(const std::string& path, const Flow& flow) {
  bool masked = HasMask(flow.source);
  for (const Endpoint& destination : flow.destinations) masked = masked || HasMask(destination);
  return masked ? absl::OkStatus() : Annotate(ValidateFlow(flow), Shown(path));
}

absl::StatusOr<v1::Flow> ToRequest(const std::string& path, const Flow& flow) {
  v1::Flow proto;
  RETURN_IF_ERROR(Annotate(FlowToProto(flow, &proto), Shown(path)));
  return proto;
}

}  // namespace wallaby
