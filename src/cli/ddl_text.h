// DDL events as people and scripts read them.
#ifndef WALLABY_CLI_DDL_TEXT_H_
#define WALLABY_CLI_DDL_TEXT_H_

#include <string>
#include <string_view>

#include "wallaby/v1/services.pb.h"

namespace wallaby {

// One line an event. `status` and `flow` are what was asked for, for the line that says that there is none.
std::string DdlListText(const v1::ListDDLResponse& events, std::string_view status, std::string_view flow);
// All about one event: the command, the steps, and what runs at each destination.
std::string DdlText(const v1::DDLEvent& event);
// "event 3 applied at lake, copy", with what that means beyond the word.
std::string DdlOutcome(const v1::DDLEvent& event);
// The command that takes an event on its way: "wallaby-admin ddl apply -id 3"; "" when its way is at its end.
std::string DdlNext(const v1::DDLEvent& event);

// JSON of events, or of a list of them, with each plan as an object `plan` in place of the text `plan_json`.
std::string WithPlans(std::string_view document, bool pretty);

}  // namespace wallaby

#endif  // WALLABY_CLI_DDL_TEXT_H_
