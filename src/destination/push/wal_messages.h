// Changes as messages of PostgreSQL's logical replication protocol, version 1, as the `pgoutput` plugin writes them.
//
// Source: PostgreSQL documentation, "Logical Replication Message Formats" (protocol-logicalrep-message-formats):
// Relation, Insert, Update, Delete, Truncate.
#ifndef WALLABY_DESTINATION_PUSH_WAL_MESSAGES_H_
#define WALLABY_DESTINATION_PUSH_WAL_MESSAGES_H_

#include <string>

#include "change/change_batch.h"

namespace wallaby {

// Appends the table's Relation message.
void AppendRelationMessage(const Relation& relation, std::string* out);

// Appends the change's message; the row of a snapshot is an Insert. Values are as the server sent them, text or binary.
void AppendChangeMessage(const ChangeBatch& batch, const Change& change, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_WAL_MESSAGES_H_
