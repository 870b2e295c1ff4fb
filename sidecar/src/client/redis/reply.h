// What Redis answered, as hiredis has decoded it. The shape is Redis' word: what has another one is empty.
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

// Of an error, a status or a string.
inline std::string_view text_of(const redisReply* reply) {
  return reply != nullptr && reply->str != nullptr ? std::string_view(reply->str, reply->len) : std::string_view();
}

inline std::span<redisReply* const> elements_of(const redisReply* reply) {
  if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY) return {};
  return {reply->element, reply->elements};
}

}  // namespace sealcast::client::redis
