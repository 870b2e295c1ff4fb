// Calls the admit hook of a message type (docs/sql.md#admit-hooks).
#pragma once

#include "admission/batch.h"

namespace sealcast::admission {

// Asks the hook of the item's type. Returns nullopt if the hook admits the message, else its refusal, or a verdict 202
// if the message must wait for a moderator. The hook runs with the rights of its owner and the search_path of
// admit(), and sees the key of the message. Raises error 42883 if the function does not exist, 42P13 if it is no admit
// hook or its refusal is invalid, and every error of the function.
std::optional<Verdict> ask_hook(const Item& item);

}  // namespace sealcast::admission
