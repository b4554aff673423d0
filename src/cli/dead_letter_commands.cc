// wallaby-admin dead-letter ...
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/render.h"

namespace wallaby {
namespace {

// Which letters a command is about.
struct Choice {
  std::string flow_id;
  std::string destination;
  std::vector<std::string> ids;
  bool all = false;
};

template <typename Request>
absl::StatusOr<Request> RequestOf(const Choice& choice) {
  Request request;
  request.set_flow_id(choice.flow_id);
  request.set_destination(choice.destination);
  for (const std::string& text : choice.ids) {
    int64_t id = 0;
    if (!absl::SimpleAtoi(text, &id) || id < 1) {
      return absl::InvalidArgumentError(absl::StrCat("-id: got '", text, "'; allowed: numbers, as list shows them"));
    }
    request.add_ids(id);
  }
  return request;
}

std::string TableName(const v1::DeadLetter& letter) {
  return absl::StrCat(letter.namespace_(), ".", letter.table());
}

std::string PositionsText(const v1::DeadLetter& letter) {
  if (letter.first_position() == letter.last_position()) return letter.last_position();
  return absl::StrCat(letter.first_position(), " to ", letter.last_position());
}

std::string KeptText(const v1::DeadLetter& letter) {
  return TimeText(absl::FromUnixMillis(letter.kept_unix_millis()));
}

std::string ListText(const v1::ListDeadLettersResponse& list) {
  if (list.letters().empty()) return "There are no dead letters.\n";
  Table out({">ID", "DESTINATION", "TABLE", "OPERATION", "POSITION", ">RECORDS", "KEPT", "REASON"});
  for (const v1::DeadLetter& letter : list.letters()) {
    out.Add({absl::StrCat(letter.id()), letter.destination(), TableName(letter), letter.operation(),
             PositionsText(letter), absl::StrCat(letter.records()), KeptText(letter), letter.reason()});
  }
  std::string text = out.Text();
  if (list.total() > list.letters_size()) {
    absl::StrAppend(&text, list.letters_size(), " of ", list.total(), " are shown.\n");
  }
  return text;
}

std::string OneText(const v1::DeadLetter& letter) {
  Fields fields;
  fields.Add("id", absl::StrCat(letter.id()));
  fields.Add("destination", letter.destination());
  fields.Add("key", letter.key());
  fields.Add("table", TableName(letter));
  fields.Add("operation", letter.operation());
  fields.Add("position", PositionsText(letter));
  fields.Add("records", absl::StrCat(letter.records()));
  fields.Add("payload mode", letter.payload_mode());
  fields.Add("content type", letter.content_type());
  fields.Add("payload", SizeText(letter.payload_bytes()));
  fields.Add("kept", KeptText(letter));
  fields.Add("reason", letter.reason());
  return absl::StrCat(fields.Text(), "\n", Indented(letter.payload()));
}

int List(const Invocation& invocation) {
  CommandLine line(invocation);
  v1::ListDeadLettersRequest request;
  std::string flow_id;
  line.FlowId(&flow_id);
  line.flags().String("destination", request.mutable_destination(), "NAME", "only those of this destination");
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(v1::ListDeadLettersResponse all, CallOnFlow(*client, request, flow_id));
    for (bool more = all.letters_size() > 0; more;) {
      request.set_after_id(all.letters(all.letters_size() - 1).id());
      ASSIGN_OR_RETURN(v1::ListDeadLettersResponse page, CallOnFlow(*client, request, flow_id));
      more = page.letters_size() > 0;
      all.mutable_letters()->MergeFrom(page.letters());
    }
    return line.Print(all, ListText(all));
  }());
}

int Get(const Invocation& invocation) {
  CommandLine line(invocation);
  v1::GetDeadLetterRequest request;
  std::string flow_id;
  int64_t id = 0;
  line.FlowId(&flow_id);
  line.flags().Int("id", &id, "ID", "the letter, as `dead-letter list` shows it");
  line.flags().Require("id");
  if (const auto status = line.Parse()) return *status;
  request.set_id(id);
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::DeadLetter letter, CallOnFlow(*client, request, flow_id));
    return line.Print(letter, OneText(letter));
  }());
}

void DeclareChoice(CommandLine& line, Choice* choice) {
  line.FlowId(&choice->flow_id);
  line.flags().String("destination", &choice->destination, "NAME", "only those of this destination");
  line.flags().List("id", &choice->ids, "IDS", "only these, separated by commas");
}

int Replay(const Invocation& invocation) {
  CommandLine line(invocation);
  Choice choice;
  DeclareChoice(line, &choice);
  if (const auto status = line.Parse()) return *status;
  const auto request = RequestOf<v1::ReplayDeadLettersRequest>(choice);
  if (!request.ok()) return line.flags().UsageError(std::string(request.status().message()));
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::ReplayDeadLettersResponse response, CallOnFlow(*client, *request, choice.flow_id));
    RETURN_IF_ERROR(
        line.Print(response, absl::StrCat(response.accepted(), " taken and removed, ", response.kept(), " kept.\n")));
    if (response.error().empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(response.error());
  }());
}

int Drop(const Invocation& invocation) {
  CommandLine line(invocation);
  Choice choice;
  DeclareChoice(line, &choice);
  line.flags().Bool("all", &choice.all, "every one, instead of -id");
  if (const auto status = line.Parse()) return *status;
  if (choice.ids.empty() != choice.all) return line.flags().UsageError("which? Give -id IDS, or -all");
  const auto request = RequestOf<v1::DropDeadLettersRequest>(choice);
  if (!request.ok()) return line.flags().UsageError(std::string(request.status().message()));
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::DropDeadLettersResponse response, client->Call(*request));
    return line.Print(response, absl::StrCat(response.dropped(), " dropped.\n"));
  }());
}

}  // namespace

CommandGroup DeadLetterCommands() {
  return {"dead-letter",
          "Requests that receivers (destinations http and grpc) did not take.",
          {{"list", "of one flow", List},
           {"get", "one, with its payload", Get},
           {"replay", "sends them again and removes those that are taken", Replay},
           {"drop", "removes them for good", Drop}}};
}

}  // namespace wallaby
