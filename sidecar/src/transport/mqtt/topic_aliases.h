// The topic aliases of one connection (MQTT 5.0, 3.3.2.3.4): a number of two bytes that replaces a topic.
//
// A PUBLISH gives the alias to the broker together with the topic. It is repeated until the broker has acknowledged one
// of these packets: EMQX, for example, checks its quota before it stores an alias (process_publish() in
// apps/emqx/src/emqx_channel.erl of github.com/emqx/emqx), and closes the connection when it does not know an alias.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "transport/outside/adapter.h"

namespace sealcast::transport::mqtt {

struct TopicAlias {
  std::uint16_t number;
  bool is_known = false;  // the broker has acknowledged a packet with this alias and its topic
};

class TopicAliases {
 public:
  using Clock = outside::Adapter::Clock;

  // Returns the alias of the topic, with a number of at most `maximum`. When all numbers are in use, a topic that was
  // not published for kIdle loses its alias. Otherwise returns null: topics that take aliases from each other would
  // only make packets longer.
  std::shared_ptr<TopicAlias> of(const std::string& topic, std::uint16_t maximum, Clock::time_point now);

  static constexpr std::chrono::seconds kIdle{10};

 private:
  struct Entry {
    std::string topic;
    std::shared_ptr<TopicAlias> alias;
    Clock::time_point used;
  };

  std::list<Entry> entries_;  // the least recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_topic_;
};

}  // namespace sealcast::transport::mqtt
