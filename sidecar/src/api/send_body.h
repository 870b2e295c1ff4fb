// The body of POST /rpc/send_message: {"stream_id","t","d","txn_id"}. All four members are required. Unknown and
// duplicate members are refused.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include "http/exchange.h"

namespace sealcast::api {

struct SendBody {
  std::string stream_id;  // lower-case
  std::string txn_id;     // lower-case
  std::string t;
  std::string_view d;  // the JSON text of an object; points into the body. It is UTF-8; Postgres checks its grammar.
};

class SendBodyParser {
 public:
  // Returns false after answering 400 if the body is invalid. If the body is a JSON object, the answer names the
  // problems of all members; only a `d` that is not an object ends the search for problems. `body` must stay unchanged
  // while `out` is used.
  bool parse(const std::string& body, SendBody& out, http::Response& response);

 private:
  simdjson::ondemand::parser parser_;
};

// Returns whether Postgres can store the text: it must be UTF-8 without NUL.
bool is_storable(std::string_view text);

}  // namespace sealcast::api
