#include "destination/schema_steps.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace wallaby {
namespace {

// A step as what it does to names; empty: nothing.
struct NameMove {
  size_t step;
  std::string from, to;
};

// Moves that share names, in order.
struct Chain {
  std::set<std::string> names;
  std::vector<NameMove> moves;
};

// Which of a chain's names a table has.
struct NameState {
  std::set<std::string> there;
  std::set<std::string> maybe;  // dropped, and kept by append mode

  bool Fits(const std::set<std::string>& chain, const std::set<std::string>& table) const {
    return std::all_of(chain.begin(), chain.end(), [&](const std::string& name) {
      return maybe.contains(name) || there.contains(name) == table.contains(name);
    });
  }
};

std::vector<NameMove> Moves(const SchemaChange& change, bool case_counts) {
  const auto fold = [case_counts](const std::string& name) { return case_counts ? name : absl::AsciiStrToLower(name); };
  std::vector<NameMove> moves;
  for (size_t i = 0; i < change.steps.size(); ++i) {
    const SchemaStep& step = change.steps[i];
    NameMove move{.step = i};
    if (step.kind == SchemaStepKind::kDropColumn) move.from = fold(step.column);
    if (step.kind == SchemaStepKind::kAddColumn) move.to = fold(step.column);
    if (step.kind == SchemaStepKind::kRenameColumn) {
      move.from = fold(step.old_name);
      move.to = fold(step.column);
    }
    if (move.from != move.to) moves.push_back(std::move(move));
  }
  return moves;
}

std::vector<Chain> Chains(const std::vector<NameMove>& moves) {
  std::vector<Chain> chains;
  for (const NameMove& move : moves) {
    Chain joined;
    std::erase_if(chains, [&](Chain& chain) {
      if (!chain.names.contains(move.from) && !chain.names.contains(move.to)) return false;
      joined.names.merge(chain.names);
      joined.moves.insert(joined.moves.end(), chain.moves.begin(), chain.moves.end());
      return true;
    });
    for (const std::string& name : {move.from, move.to}) {
      if (!name.empty()) joined.names.insert(name);
    }
    joined.moves.push_back(move);
    std::sort(joined.moves.begin(), joined.moves.end(),
              [](const NameMove& a, const NameMove& b) { return a.step < b.step; });
    chains.push_back(std::move(joined));
  }
  return chains;
}

// State number k: after k of the chain's moves.
std::vector<NameState> States(const Chain& chain, bool keeps_dropped) {
  NameState state;
  std::set<std::string> met;
  for (const NameMove& move : chain.moves) {
    if (!move.from.empty() && met.insert(move.from).second) state.there.insert(move.from);
    if (!move.to.empty()) met.insert(move.to);
  }
  std::vector<NameState> states = {state};
  for (const NameMove& move : chain.moves) {
    state.there.erase(move.from);
    if (move.to.empty() && keeps_dropped) state.maybe.insert(move.from);
    if (!move.to.empty()) {
      state.there.insert(move.to);
      state.maybe.erase(move.to);
    }
    states.push_back(state);
  }
  return states;
}

// Whether to do the moves from number `first` on once more would harm. Where dropped columns are kept, only a rename
// can.
bool Matters(const Chain& chain, size_t first, bool keeps_dropped) {
  return !keeps_dropped || std::any_of(chain.moves.begin() + static_cast<std::ptrdiff_t>(first), chain.moves.end(),
                                       [](const NameMove& m) { return !m.from.empty() && !m.to.empty(); });
}

std::string Listed(const std::set<std::string>& names) {
  return names.empty() ? "none of them" : absl::StrJoin(names, ", ");
}

absl::Status NoStateError(const Chain& chain, const NameState& before, const NameState& after,
                          const NamesOfTable& table) {
  std::set<std::string> present;
  for (const std::string& name : chain.names) {
    if (table.names.contains(name)) present.insert(name);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "table ", table.shown, ": of the columns ", Listed(chain.names), " it has ", Listed(present),
      "; before the schema change it should have ", Listed(before.there), ", after it ", Listed(after.there),
      ". Rename, drop or add columns there by hand until it has those of one side, then apply the change again"));
}

}  // namespace

std::vector<std::string> ShownStatements(const std::vector<DdlStatement>& statements) {
  std::vector<std::string> shown;
  shown.reserve(statements.size());
  for (const DdlStatement& statement : statements) shown.push_back(statement.sql);
  return shown;
}

absl::StatusOr<StepsDone> FindStepsDone(const SchemaChange& change, const NamesOfTable& table) {
  StepsDone result{.done = std::vector<bool>(change.steps.size(), false)};
  for (const Chain& chain : Chains(Moves(change, table.case_counts))) {
    const std::vector<NameState> states = States(chain, table.keeps_dropped);
    std::vector<size_t> fitting;
    for (size_t k = 0; k < states.size(); ++k) {
      if (states[k].Fits(chain.names, table.names)) fitting.push_back(k);
    }
    if (fitting.empty()) return NoStateError(chain, states.front(), states.back(), table);
    size_t done = fitting.back();
    if (done + 1 == states.size() && fitting.size() > 1 && Matters(chain, fitting.front(), table.keeps_dropped)) {
      result.unclear = true;
      if (!table.recorded) done = fitting.front();
    }
    for (size_t i = 0; i < done; ++i) result.done[chain.moves[i].step] = true;
  }
  return result;
}

std::string ChangeMark(const SchemaChange& change) {
  const auto shape = [](const std::optional<TableShape>& side) {
    if (!side) return std::string();
    std::string text = side->relation.QualifiedName();
    for (size_t i = 0; i < side->details.size(); ++i) {
      const Column& column = side->relation.columns[i];
      absl::StrAppend(&text, i == 0 ? "(" : ", ", side->details[i].attnum, " ", column.name, " ", column.type.oid, " ",
                      column.type.typmod);
    }
    return absl::StrCat(text, ")");
  };
  return absl::StrCat(shape(change.before), " -> ", shape(change.after));
}

absl::Status BothNamesError(std::string_view old_name, std::string_view new_name) {
  return absl::FailedPreconditionError(absl::StrCat("table ", old_name, " was renamed to ", new_name,
                                                    " at the source, and the destination has both; if the rows are in ",
                                                    old_name, ", drop or rename ", new_name, " there, else drop ",
                                                    old_name, "; then apply the change again"));
}

absl::Status ExplainDdl(const absl::Status& status, std::string_view table, const DdlStatement& statement) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("table ", table, statement.column.empty() ? "" : ", column ", statement.column,
                                   ": the schema change cannot be followed: ", status.message(),
                                   statement.remedy.empty() ? "" : "; ", statement.remedy));
}

}  // namespace wallaby
