// wallaby-admin stream ...
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/units.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/render.h"

namespace wallaby {
namespace {

// A payload is shown where people can read it.
std::string PayloadText(const v1::StreamMessage& message) {
  if (message.wire_format() == "json") return message.payload();
  return absl::StrCat("(", message.payload().size(), " bytes of ", message.wire_format(), ")");
}

std::string PulledText(const v1::StreamPullResponse& response) {
  if (response.messages().empty()) return "No messages.\n";
  Table out({">ID", "LSN", "TABLE", "OPERATION", ">DELIVERY", "PAYLOAD"});
  for (const v1::StreamMessage& message : response.messages()) {
    out.Add({absl::StrCat(message.id()), message.lsn(), absl::StrCat(message.namespace_(), ".", message.table()),
             message.operation(), absl::StrCat(message.delivery()), PayloadText(message)});
  }
  return out.Text();
}

std::string GroupsText(const v1::ListStreamGroupsResponse& list, const std::string& stream) {
  if (list.groups().empty()) {
    return absl::StrCat("Stream ", stream, " has no consumer groups; `stream pull` makes one.\n");
  }
  Table out({"GROUP", ">LAG", ">BEHIND", ">IN FLIGHT", ">REDELIVERED", ">NEXT ID", ">SKIPPED"});
  for (const v1::StreamGroup& group : list.groups()) {
    out.Add({group.consumer_group(), absl::StrCat(group.lag_messages()), SecondsText(group.lag_seconds()),
             absl::StrCat(group.in_flight()), absl::StrCat(group.redelivered()), absl::StrCat(group.next_id()),
             absl::StrCat(group.skipped())});
  }
  return out.Text();
}

std::string StreamsText(const v1::ListStreamsResponse& list) {
  if (list.streams().empty()) return "There are no streams; a destination of type pgstream makes one.\n";
  Table out({"STREAM", "FLOW", "DESTINATION", ">FIRST ID", ">LAST ID", ">SIZE", ">GROUPS", "ERROR"});
  for (const v1::StreamInfo& stream : list.streams()) {
    out.Add({stream.name(), stream.flow_id(), stream.destination(), absl::StrCat(stream.first_id()),
             absl::StrCat(stream.last_id()), SizeText(stream.bytes()), absl::StrCat(stream.groups()), stream.error()});
  }
  return out.Text();
}

// Flags that most commands have.
struct Names {
  std::string stream;
  std::string group;
};

void Declare(CommandLine& line, Names* names, bool with_group = true) {
  line.flags().String("stream", &names->stream, "NAME", "the stream, as its destination's option says");
  line.flags().Require("stream");
  if (!with_group) return;
  line.flags().String("group", &names->group, "NAME", "the consumer group");
  line.flags().Require("group");
}

template <typename Request>
Request About(const Names& names) {
  Request request;
  request.set_stream(names.stream);
  request.set_consumer_group(names.group);
  return request;
}

int Pull(const Invocation& invocation) {
  CommandLine line(invocation);
  Names names;
  int max = 0;
  int visibility = 0;
  std::string consumer;
  absl::Duration wait;
  Declare(line, &names);
  line.flags().Int("max", &max, "N", "messages at most; 0: 100");
  line.flags().Int("visibility", &visibility, "SECONDS", "until others of the group may have them; 0: 30");
  line.flags().String("consumer", &consumer, "NAME", "who pulls, for people");
  line.flags().Duration("wait", &wait, "how long to wait for the first message");
  if (const auto status = line.Parse()) return *status;
  if (max < 0 || visibility < 0) return line.flags().UsageError("-max and -visibility are 0 or more");
  if (wait > absl::Minutes(5)) return line.flags().UsageError("-wait is 5m at most");
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    auto request = About<v1::StreamPullRequest>(names);
    request.set_max_messages(max);
    request.set_visibility_timeout_seconds(visibility);
    request.set_consumer_id(consumer);
    request.set_wait_milliseconds(static_cast<int32_t>(absl::ToInt64Milliseconds(wait)));
    ASSIGN_OR_RETURN(const v1::StreamPullResponse response, client->Call(request));
    return line.Print(response, PulledText(response));
  }());
}

int Ack(const Invocation& invocation) {
  CommandLine line(invocation);
  Names names;
  std::vector<std::string> ids;
  Declare(line, &names);
  line.flags().List("ids", &ids, "ID,...", "the messages, as `stream pull` shows them");
  line.flags().Require("ids");
  if (const auto status = line.Parse()) return *status;
  auto request = About<v1::StreamAckRequest>(names);
  for (const std::string& text : ids) {
    int64_t id = 0;
    if (!absl::SimpleAtoi(text, &id)) return line.flags().UsageError(absl::StrCat("-ids: '", text, "' is no id"));
    request.add_ids(id);
  }
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::StreamAckResponse response, client->Call(request));
    std::string text = absl::StrCat("Acknowledged: ", response.acked(), ".\n");
    if (response.acked() < request.ids_size()) {
      text = absl::StrCat("Acknowledged: ", response.acked(), " of ", request.ids_size(),
                          "; the others were not in flight.\n");
    }
    return line.Print(response, text);
  }());
}

// "2026-01-31T17:04:05Z", or "1h" for an hour ago.
absl::StatusOr<absl::Time> ParseSince(const std::string& text) {
  if (const auto ago = ParseDuration(text); ago.ok()) return absl::Now() - *ago;
  absl::Time time;
  std::string why;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &why)) return time;
  return absl::InvalidArgumentError(absl::StrCat(
      "-since is '", text, "'; allowed: a time such as 2026-01-31T17:04:05Z, or how long ago, such as 1h"));
}

int Replay(const Invocation& invocation) {
  CommandLine line(invocation);
  Names names;
  std::string from_lsn;
  std::string since;
  Declare(line, &names);
  line.flags().String("from-lsn", &from_lsn, "LSN", "the first message of a transaction that committed there or later");
  line.flags().String("since", &since, "TIME",
                      "the first message that was stored then (2026-01-31T17:04:05Z, or 1h ago)");
  if (const auto status = line.Parse()) return *status;
  if (from_lsn.empty() == since.empty()) return line.flags().UsageError("give one of -from-lsn and -since");
  auto request = About<v1::StreamReplayRequest>(names);
  request.set_from_lsn(from_lsn);
  if (!since.empty()) {
    const auto time = ParseSince(since);
    if (!time.ok()) return line.flags().UsageError(std::string(time.status().message()));
    const int64_t micros = absl::ToUnixMicros(*time);
    request.mutable_since()->set_seconds(micros / 1'000'000);
    request.mutable_since()->set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
  }
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::StreamReplayResponse response, client->Call(request));
    return line.Print(response, absl::StrCat("Messages that come again: ", response.reset(), ".\n"));
  }());
}

int List(const Invocation& invocation) {
  CommandLine line(invocation);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::ListStreamsResponse list, client->Call(v1::ListStreamsRequest()));
    return line.Print(list, StreamsText(list));
  }());
}

int Groups(const Invocation& invocation) {
  CommandLine line(invocation);
  Names names;
  Declare(line, &names, /*with_group=*/false);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    v1::ListStreamGroupsRequest request;
    request.set_stream(names.stream);
    ASSIGN_OR_RETURN(const v1::ListStreamGroupsResponse list, client->Call(request));
    return line.Print(list, GroupsText(list, names.stream));
  }());
}

int DeleteGroup(const Invocation& invocation) {
  CommandLine line(invocation);
  Names names;
  Declare(line, &names);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::DeleteStreamGroupResponse response,
                     client->Call(About<v1::DeleteStreamGroupRequest>(names)));
    return line.Print(response, absl::StrCat("Group ", names.group, " of stream ", names.stream, " is deleted.\n"));
  }());
}

}  // namespace

CommandGroup StreamCommands() {
  return {"stream",
          "Streams of pgstream destinations, and the consumer groups that read them.",
          {{"list", "all streams", List},
           {"groups", "of one stream, with their lag", Groups},
           {"pull", "takes messages for a group", Pull},
           {"ack", "acknowledges messages", Ack},
           {"replay", "sets a group back", Replay},
           {"delete-group", "forgets a group and its place", DeleteGroup}}};
}

}  // namespace wallaby
