// The answer of send_message() to a held message.
#pragma once

#include "admission/batch.h"

namespace sealcast::admission {

// Returns the JSON object that takes the place of the envelope. A refusal would undo the hold. In a request of
// PostgREST, sets the status of the response.
text* answer_held(const Item& item);

}  // namespace sealcast::admission
