#include "postgres/source_options.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "base/units.h"
#include "base/wire_format.h"

namespace wallaby {
namespace {

constexpr std::string_view kBool = "true or false";
constexpr std::string_view kDuration = "a duration such as 200ms, 5s, 1m";
constexpr std::string_view kBytes = "a size such as 64MiB";
constexpr std::string_view kSlotName = "1 to 63 lower case letters, digits and _";
constexpr std::string_view kName = "a name of 1 to 63 bytes";
constexpr std::string_view kTables = "names separated by commas, each schema.table or table (in schema public)";
constexpr std::string_view kText = "text";

constexpr SourceOptionSpec kSpecs[] = {
    {"dsn", true, "postgres://user:password@host:port/database or key=value pairs", true},
    {"slot", true, kSlotName},
    {"publication", true, kName},
    {"create_slot", false, kBool},
    {"ensure_publication", false, kBool},
    {"publication_tables", false, kTables},
    {"publication_schemas", false, "names separated by commas"},
    {"tables", false, kTables},
    {"schemas", false, "names separated by commas"},
    {"sync_publication", false, kBool},
    {"sync_publication_mode", false, "add or sync"},
    {"validate_replication", false, kBool},
    {"batch_size", false, "a whole number from 1 to 10000000"},
    {"batch_timeout", false, kDuration},
    {"status_interval", false, "a duration from 100ms to 1h"},
    {"emit_empty", false, kBool},
    {"resolve_types", false, kBool},
    {"ensure_state", false, kBool},
    {"state_schema", false, kName},
    {"state_table", false, kName},
    {"flow_id", false, kText},
    {"format", false, kWireFormatsAllowed},
    {"capture_ddl", false, kBool},
    {"ddl_trigger_schema", false, kName},
    {"ddl_trigger_name", false, kName},
    {"ddl_message_prefix", false, kText},
    {"toast_fetch", false, "off, source, full or cache"},
    {"toast_cache_size", false, kBytes},
    {"snapshot", false, "initial or never"},
    {"snapshot_workers", false, "a whole number from 1 to 64"},
    {"failover", false, kBool},
    {"binary", false, kBool},
    {"catch_up", false, "a size such as 32MiB, or off"},
    {"spool_limit", false, kBytes},
    {"spool_policy", false, "hold or fail"},
    {"aws_rds_iam", false, "false"},
    {"aws_region", false, "not set"},
    {"aws_profile", false, "not set"},
    {"aws_role_arn", false, "not set"},
    {"aws_role_session_name", false, "not set"},
    {"aws_role_external_id", false, "not set", true},
    {"aws_endpoint", false, "not set"},
};

// Reads the options one by one and keeps the first error.
class Parser {
 public:
  Parser(std::string_view source, const std::map<std::string, std::string>& options)
      : source_(source), options_(options) {}

  absl::Status status() const { return status_; }

  void Fail(std::string_view name, absl::StatusCode code, std::string_view why) {
    if (status_.ok()) {
      status_ = absl::Status(code, absl::StrCat("option ", name, " of source '", source_, "': ", why));
    }
  }

  // The value, or null when it is not set.
  const std::string* Get(std::string_view name) const {
    const auto found = options_.find(std::string(name));
    return found == options_.end() || found->second.empty() ? nullptr : &found->second;
  }

  void Refuse(std::string_view name) {
    const SourceOptionSpec* spec = Spec(name);
    const std::string* value = Get(name);
    const std::string shown = spec->secret ? "a value that is not" : absl::StrCat("'", *value, "'");
    Fail(name, absl::StatusCode::kInvalidArgument, absl::StrCat("got ", shown, "; allowed: ", spec->allowed));
  }

  void CheckNamesAndRequired() {
    for (const auto& [name, value] : options_) {
      if (Spec(name) == nullptr) {
        Fail(name, absl::StatusCode::kInvalidArgument,
             absl::StrCat("no such option; allowed: ",
                          absl::StrJoin(kSpecs, ", ", [](std::string* out, const SourceOptionSpec& spec) {
                            absl::StrAppend(out, std::string(spec.name));
                          })));
      }
    }
    for (const SourceOptionSpec& spec : kSpecs) {
      if (spec.required && Get(spec.name) == nullptr) {
        Fail(spec.name, absl::StatusCode::kInvalidArgument, absl::StrCat("is missing; allowed: ", spec.allowed));
      }
    }
  }

  void Text(std::string_view name, std::string* out) {
    if (const std::string* value = Get(name)) *out = *value;
  }

  void Name(std::string_view name, std::string* out) {
    Text(name, out);
    if (out->size() > 63 || out->find('\0') != std::string::npos) Refuse(name);
  }

  void Bool(std::string_view name, bool* out) { Parse(name, out, ParseBool); }
  void Bytes(std::string_view name, int64_t* out) { Parse(name, out, ParseBytes); }
  void Duration(std::string_view name, absl::Duration least, absl::Duration most, absl::Duration* out) {
    Parse(name, out, ParseDuration);
    if (*out < least || *out > most) Refuse(name);
  }

  template <typename Int>
  void WholeNumber(std::string_view name, int64_t least, int64_t most, Int* out) {
    const std::string* value = Get(name);
    if (value == nullptr) return;
    int64_t number = 0;
    if (!absl::SimpleAtoi(*value, &number) || number < least || number > most) return Refuse(name);
    *out = static_cast<Int>(number);
  }

  template <typename Enum, size_t n>
  void Choice(std::string_view name, const std::array<std::pair<std::string_view, Enum>, n>& choices, Enum* out) {
    const std::string* value = Get(name);
    if (value == nullptr) return;
    for (const auto& [text, choice] : choices) {
      if (text == *value) {
        *out = choice;
        return;
      }
    }
    Refuse(name);
  }

  void List(std::string_view name, std::vector<std::string>* out) {
    const std::string* value = Get(name);
    if (value == nullptr) return;
    for (const absl::string_view part : absl::StrSplit(*value, ',')) {
      const std::string item(absl::StripAsciiWhitespace(part));
      if (item.empty()) return Refuse(name);
      if (std::find(out->begin(), out->end(), item) == out->end()) out->push_back(item);
    }
  }

 private:
  static const SourceOptionSpec* Spec(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(kSpecs), std::end(kSpecs), [name](const auto& spec) { return spec.name == name; });
    return found == std::end(kSpecs) ? nullptr : found;
  }

  template <typename Value, typename Function>
  void Parse(std::string_view name, Value* out, Function parse) {
    const std::string* value = Get(name);
    if (value == nullptr) return;
    auto parsed = parse(*value);
    if (!parsed.ok()) return Refuse(name);
    *out = *parsed;
  }

  std::string_view source_;
  const std::map<std::string, std::string>& options_;
  absl::Status status_;
};

// A bare table name stands in schema public.
void Qualify(std::vector<std::string>* tables) {
  for (std::string& table : *tables) {
    if (table.find('.') == std::string::npos) table = "public." + table;
  }
}

// Options of the contract that this version does not carry out.
void RefuseWhatIsNotThere(Parser& parser) {
  bool on = false;
  parser.Bool("aws_rds_iam", &on);
  if (on) {
    parser.Fail("aws_rds_iam", absl::StatusCode::kUnimplemented,
                "this version cannot log in by IAM; put a user and a password into the dsn");
  }
  for (const std::string_view name :
       {"aws_region", "aws_profile", "aws_role_arn", "aws_role_session_name", "aws_role_external_id", "aws_endpoint"}) {
    if (parser.Get(name) != nullptr) {
      parser.Fail(name, absl::StatusCode::kUnimplemented, "this version cannot log in by IAM; leave the option out");
    }
  }
}

constexpr std::array<std::pair<std::string_view, ToastFetch>, 4> kToastFetch = {{{"off", ToastFetch::kOff},
                                                                                 {"source", ToastFetch::kSource},
                                                                                 {"full", ToastFetch::kFull},
                                                                                 {"cache", ToastFetch::kCache}}};
constexpr std::array<std::pair<std::string_view, PublicationMode>, 2> kPublicationMode = {
    {{"add", PublicationMode::kAdd}, {"sync", PublicationMode::kSync}}};
constexpr std::array<std::pair<std::string_view, SnapshotMode>, 2> kSnapshotMode = {
    {{"initial", SnapshotMode::kInitial}, {"never", SnapshotMode::kNever}}};
constexpr std::array<std::pair<std::string_view, SpoolPolicy>, 2> kSpoolPolicy = {
    {{"hold", SpoolPolicy::kHold}, {"fail", SpoolPolicy::kFail}}};

void ParseNames(Parser& parser, SourceOptions* out) {
  parser.Text("dsn", &out->dsn);
  parser.Text("slot", &out->slot);
  if (!IsSlotName(out->slot) && parser.Get("slot") != nullptr) parser.Refuse("slot");
  parser.Name("publication", &out->publication);
  parser.List("publication_tables", &out->publication_tables);
  Qualify(&out->publication_tables);
  parser.List("publication_schemas", &out->publication_schemas);
  parser.List("tables", &out->tables);
  Qualify(&out->tables);
  parser.List("schemas", &out->schemas);
  parser.Name("state_schema", &out->state_schema);
  parser.Name("state_table", &out->state_table);
  parser.Text("flow_id", &out->flow_id);
  parser.Text("format", &out->format);
  if (parser.Get("format") != nullptr && !ParseWireFormat(out->format)) parser.Refuse("format");
  parser.Name("ddl_trigger_schema", &out->ddl_trigger_schema);
  parser.Name("ddl_trigger_name", &out->ddl_trigger_name);
  parser.Text("ddl_message_prefix", &out->ddl_message_prefix);
}

void ParseBehaviour(Parser& parser, SourceOptions* out) {
  parser.Bool("create_slot", &out->create_slot);
  parser.Bool("ensure_publication", &out->ensure_publication);
  parser.Bool("sync_publication", &out->sync_publication);
  parser.Choice("sync_publication_mode", kPublicationMode, &out->sync_publication_mode);
  parser.Bool("validate_replication", &out->validate_replication);
  parser.WholeNumber("batch_size", 1, 10'000'000, &out->batch_size);
  parser.Duration("batch_timeout", absl::ZeroDuration(), absl::InfiniteDuration(), &out->batch_timeout);
  parser.Duration("status_interval", absl::Milliseconds(100), absl::Hours(1), &out->status_interval);
  parser.Bool("emit_empty", &out->emit_empty);
  parser.Bool("resolve_types", &out->resolve_types);
  parser.Bool("ensure_state", &out->ensure_state);
  if (parser.Get("capture_ddl") != nullptr) {
    bool capture = false;
    parser.Bool("capture_ddl", &capture);
    out->capture_ddl = capture;
  }
  parser.Choice("toast_fetch", kToastFetch, &out->toast_fetch);
  parser.Bytes("toast_cache_size", &out->toast_cache_size);
  parser.Choice("snapshot", kSnapshotMode, &out->snapshot);
  parser.WholeNumber("snapshot_workers", 1, 64, &out->snapshot_workers);
  parser.Bool("failover", &out->failover);
  parser.Bool("binary", &out->binary);
  if (const std::string* value = parser.Get("catch_up"); value != nullptr && *value == "off") {
    out->catch_up = 0;
  } else {
    parser.Bytes("catch_up", &out->catch_up);
  }
  parser.Bytes("spool_limit", &out->spool_limit);
  if (parser.Get("spool_policy") != nullptr) {
    SpoolPolicy policy = SpoolPolicy::kHold;
    parser.Choice("spool_policy", kSpoolPolicy, &policy);
    out->spool_policy = policy;
  }
}

}  // namespace

bool IsSlotName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
  });
}

bool CarriesTable(const SourceOptions& options, std::string_view schema, std::string_view name) {
  if (options.tables.empty() && options.schemas.empty()) return true;
  return std::find(options.schemas.begin(), options.schemas.end(), schema) != options.schemas.end() ||
         std::find(options.tables.begin(), options.tables.end(), absl::StrCat(schema, ".", name)) !=
             options.tables.end();
}

std::span<const SourceOptionSpec> SourceOptionSpecs() {
  return kSpecs;
}

absl::StatusOr<SourceOptions> ParseSourceOptions(std::string_view source_name,
                                                 const std::map<std::string, std::string>& options) {
  Parser parser(source_name, options);
  SourceOptions out;
  parser.CheckNamesAndRequired();
  ParseNames(parser, &out);
  ParseBehaviour(parser, &out);
  RefuseWhatIsNotThere(parser);
  RETURN_IF_ERROR(parser.status());
  if (out.sync_publication && out.publication_tables.empty() && out.publication_schemas.empty()) {
    parser.Fail("sync_publication", absl::StatusCode::kInvalidArgument,
                "is true, but neither publication_tables nor publication_schemas says what should be published");
  }
  RETURN_IF_ERROR(parser.status());
  return out;
}

}  // namespace wallaby
