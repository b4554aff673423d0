#include "codec/avro_compatibility.h"

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr int kMostNesting = 64;

const std::set<std::string> kPrimitives = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
// What a writer's primitive may be read as beside itself.
const std::set<std::pair<std::string, std::string>> kPromotions = {
    {"int", "long"},    {"int", "float"},    {"int", "double"},   {"long", "float"},
    {"long", "double"}, {"float", "double"}, {"string", "bytes"}, {"bytes", "string"}};

absl::Status NotASchema(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("not an Avro schema: ", why));
}

// A schema with its named types.
class Schema {
 public:
  static absl::StatusOr<Schema> Parse(const std::string& text) {
    Schema schema;
    schema.root_ = std::make_shared<const Json>(Json::parse(text, nullptr, /*allow_exceptions=*/false));
    if (schema.root_->is_discarded()) return NotASchema("it is not JSON");
    RETURN_IF_ERROR(schema.Collect(*schema.root_, "", 0));
    return schema;
  }
  const Json& root() const { return *root_; }
  // What stands for a type: the definition of a name; a primitive as it is.
  const Json* Resolve(const Json& type, const std::string& space) const {
    if (!type.is_string() || kPrimitives.contains(type.get_ref<const std::string&>())) return &type;
    const auto found = named_.find(FullName(type.get<std::string>(), space));
    return found == named_.end() ? nullptr : found->second;
  }
  static std::string FullName(const std::string& name, const std::string& space) {
    return name.find('.') != std::string::npos || space.empty() ? name : space + "." + name;
  }
  static std::string Text(const Json& type, const char* name) {
    const auto found = type.find(name);
    return found != type.end() && found->is_string() ? found->get<std::string>() : "";
  }
  static std::string SpaceOf(const Json& type, const std::string& space) {
    const std::string full = FullName(Text(type, "name"), type.contains("namespace") ? Text(type, "namespace") : space);
    const size_t dot = full.rfind('.');
    return dot == std::string::npos ? "" : full.substr(0, dot);
  }

 private:
  absl::Status Collect(const Json& type, const std::string& space, int depth) {
    if (depth > kMostNesting) return NotASchema("it is nested too deeply");
    if (type.is_string()) return absl::OkStatus();
    if (type.is_array()) {
      for (const Json& branch : type) RETURN_IF_ERROR(Collect(branch, space, depth + 1));
      return absl::OkStatus();
    }
    if (!type.is_object() || !type.contains("type")) return NotASchema("a type is missing");
    const Json& kind = type["type"];
    if (!kind.is_string()) return Collect(kind, space, depth + 1);
    if (kind == "array" || kind == "map") {
      const char* inner = kind == "array" ? "items" : "values";
      return type.contains(inner) ? Collect(type[inner], space, depth + 1) : NotASchema("items or values are missing");
    }
    if (kind != "record" && kind != "enum" && kind != "fixed") return absl::OkStatus();
    const std::string own_space = SpaceOf(type, space), name = Text(type, "name");
    if (name.empty()) return NotASchema("a name is missing");
    const size_t dot = name.rfind('.');
    named_[FullName(dot == std::string::npos ? name : name.substr(dot + 1), own_space)] = &type;
    if (kind != "record") return absl::OkStatus();
    if (!type.contains("fields") || !type["fields"].is_array()) return NotASchema("fields are missing");
    for (const Json& field : type["fields"]) {
      if (!field.is_object() || Text(field, "name").empty() || !field.contains("type")) return NotASchema("a field");
      RETURN_IF_ERROR(Collect(field["type"], own_space, depth + 1));
    }
    return absl::OkStatus();
  }

  std::shared_ptr<const Json> root_;
  std::map<std::string, const Json*> named_;
};

class Resolution {
 public:
  Resolution(const Schema& reader, const Schema& writer) : reader_(reader), writer_(writer) {}

  absl::Status Read(const Json& reader, std::string reader_space, const Json& writer, std::string writer_space,
                    const std::string& at, int depth) {
    if (depth > kMostNesting) return NotASchema("it is nested too deeply");
    const Json* r = reader_.Resolve(reader, reader_space);
    const Json* w = writer_.Resolve(writer, writer_space);
    if (r == nullptr || w == nullptr) return NotASchema(absl::StrCat("a name at ", at, " is not defined"));
    if (w->is_array()) {
      for (const Json& branch : *w) {
        RETURN_IF_ERROR(Read(*r, reader_space, branch, writer_space, at, depth + 1));
      }
      return absl::OkStatus();
    }
    if (r->is_array()) {
      // Of the one branch that was meant, it says more what does not fit within.
      absl::Status within;
      int alike = 0;
      for (const Json& branch : *r) {
        const absl::Status read = Read(branch, reader_space, *w, writer_space, at, depth + 1);
        if (read.ok()) return read;
        const Json* type = reader_.Resolve(branch, reader_space);
        if (type == nullptr || Kind(*type) != Kind(*w)) continue;
        within = read;
        ++alike;
      }
      if (alike == 1) return within;
      return Fails(at, absl::StrCat("none of the new types reads the old ", Kind(*w)));
    }
    const std::string kind = Kind(*r), written = Kind(*w);
    if (kPrimitives.contains(kind) || kPrimitives.contains(written)) {
      if (kind != written && !kPromotions.contains({written, kind})) {
        return Fails(at, absl::StrCat("the new type ", kind, " does not read the old ", written));
      }
      return SameDecimals(*r, *w, at);
    }
    if (kind != written) return Fails(at, absl::StrCat("the new type ", kind, " does not read the old ", written));
    if (kind == "array")
      return Read((*r)["items"], reader_space, (*w)["items"], writer_space, at + "/items", depth + 1);
    if (kind == "map")
      return Read((*r)["values"], reader_space, (*w)["values"], writer_space, at + "/values", depth + 1);
    if (kind == "fixed")
      return (*r).value("size", Json()) == (*w).value("size", Json()) ? absl::OkStatus() : Fails(at, "another size");
    if (kind == "enum") return ReadEnum(*r, *w, at);
    if (kind != "record") return NotASchema(absl::StrCat("there is no type ", kind));
    return ReadRecord(*r, Schema::SpaceOf(*r, reader_space), *w, Schema::SpaceOf(*w, writer_space), at, depth);
  }

 private:
  static absl::Status Fails(const std::string& at, std::string_view why) {
    return absl::FailedPreconditionError(absl::StrCat("at ", at.empty() ? "/" : at, ": ", why));
  }
  static std::string Kind(const Json& type) {
    if (type.is_string()) return type.get<std::string>();
    return type.is_object() ? Schema::Text(type, "type") : "union";
  }
  static absl::Status SameDecimals(const Json& r, const Json& w, const std::string& at) {
    const auto of = [](const Json& type, const char* name) {
      const bool decimal = type.is_object() && Schema::Text(type, "logicalType") == "decimal";
      return decimal ? type.value(name, Json(0)) : Json();
    };
    if (of(r, "scale") == of(w, "scale")) return absl::OkStatus();
    return Fails(at, "a decimal of another scale");
  }
  static absl::Status ReadEnum(const Json& r, const Json& w, const std::string& at) {
    if (r.contains("default")) return absl::OkStatus();
    const Json symbols = r.value("symbols", Json::array());
    for (const Json& symbol : w.value("symbols", Json::array())) {
      if (std::find(symbols.begin(), symbols.end(), symbol) == symbols.end()) {
        return Fails(at, absl::StrCat("the new enum has no ", symbol.dump()));
      }
    }
    return absl::OkStatus();
  }
  absl::Status ReadRecord(const Json& r, const std::string& reader_space, const Json& w,
                          const std::string& writer_space, const std::string& at, int depth) {
    // A pair that was begun is not gone into again: types may hold themselves.
    if (!begun_.insert({&r, &w}).second) return absl::OkStatus();
    absl::Status status = ReadFields(r, reader_space, w, writer_space, at, depth);
    if (!status.ok()) begun_.erase({&r, &w});
    return status;
  }
  absl::Status ReadFields(const Json& r, const std::string& reader_space, const Json& w,
                          const std::string& writer_space, const std::string& at, int depth) {
    const auto short_name = [](const Json& type) {
      const std::string name = Schema::Text(type, "name");
      return name.substr(name.rfind('.') + 1);
    };
    if (short_name(r) != short_name(w)) return Fails(at, "a record of another name");
    for (const Json& field : r["fields"]) {
      const std::string name = field["name"];
      const Json* written = nullptr;
      for (const Json& old : w["fields"]) {
        if (old["name"] == name) written = &old;
      }
      const std::string place = absl::StrCat(at, "/", name);
      if (written != nullptr) {
        RETURN_IF_ERROR(Read(field["type"], reader_space, (*written)["type"], writer_space, place, depth + 1));
      } else if (!field.contains("default")) {
        return Fails(place, "a new field without a default");
      }
    }
    return absl::OkStatus();
  }

  const Schema& reader_;
  const Schema& writer_;
  std::set<std::pair<const Json*, const Json*>> begun_;
};

}  // namespace

absl::Status AvroCanRead(const std::string& reader, const std::string& writer) {
  ASSIGN_OR_RETURN(const auto r, Schema::Parse(reader));
  ASSIGN_OR_RETURN(const auto w, Schema::Parse(writer));
  return Resolution(r, w).Read(r.root(), "", w.root(), "", "", 0);
}

}  // namespace wallaby
