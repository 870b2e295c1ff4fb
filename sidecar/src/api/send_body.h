// The body of POST /rpc/send_message: {"stream_id","t","d","txn_id"}, these members and no others, none twice.
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
  std::string_view d;  // the JSON text of an object, in the body; checked for UTF-8, its grammar left to Postgres
};

class SendBodyParser {
 public:
  // False when the body will not do; the response then names every problem.
  bool parse(const std::string& body, SendBody& out, http::Response& response);

 private:
  simdjson::ondemand::parser parser_;
};

// Whether Postgres can store the text: UTF-8 without NUL.
bool is_storable(std::string_view text);

}  // namespace sealcast::api
