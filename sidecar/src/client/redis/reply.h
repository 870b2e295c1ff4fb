// Reads a reply that hiredis has decoded. A reply of an unexpected type gives an empty result, not an error.
#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <span>
#include <string_view>

#include "client/names.h"

namespace sealcast::client::redis {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using ReplyPtr = std::unique_ptr<redisReply, FreeReply>;

// Returns the text of an error, a status or a string. Returns an empty text for any other reply and for null.
inline std::string_view text_of(const redisReply* reply) {
  return reply != nullptr && reply->str != nullptr ? std::string_view(reply->str, reply->len) : std::string_view();
}

// Returns the elements of an array. Returns no elements for any other reply and for null.
inline std::span<redisReply* const> elements_of(const redisReply* reply) {
  if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY) return {};
  return {reply->element, reply->elements};
}

}  // namespace sealcast::client::redis
