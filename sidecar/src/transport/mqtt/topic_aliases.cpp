// Gives topic aliases to the topics that are published most often.
#include "transport/mqtt/topic_aliases.h"

namespace sealcast::transport::mqtt {

std::shared_ptr<TopicAlias> TopicAliases::of(const std::string& topic, std::uint16_t maximum, Clock::time_point now) {
  if (const auto found = by_topic_.find(topic); found != by_topic_.end()) {
    entries_.splice(entries_.end(), entries_, found->second);
    found->second->used = now;
    return found->second->alias;
  }
  auto number = static_cast<std::uint16_t>(entries_.size() + 1);
  if (entries_.size() >= maximum) {
    if (entries_.empty() || now - entries_.front().used < kIdle) return nullptr;
    number = entries_.front().alias->number;
    by_topic_.erase(entries_.front().topic);
    entries_.pop_front();
  }
  // An alias that changes its topic is a new object, so that a late answer does not make the new alias known.
  entries_.push_back({topic, std::make_shared<TopicAlias>(number), now});
  by_topic_.emplace(entries_.back().topic, std::prev(entries_.end()));
  return entries_.back().alias;
}

}  // namespace sealcast::transport::mqtt
