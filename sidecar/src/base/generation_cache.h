// A bounded map that drops old entries in bulk. So it needs no list of recently used entries, no timer, and no work per
// dropped entry.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>

namespace sealcast {

// The cache has two generations. put() fills the young generation. When the young generation is full, or as old as
// `age`, it becomes the old generation, and the previous old generation is dropped.
//
// An entry stays for at least `age`, unless the cache is full. It stays for about twice `age` at most, unless it is put
// again. Only expire() checks the age. So if expire() is called rarely, an entry can stay for almost three times `age`.
template <typename Key, typename Value, typename Hash = std::hash<Key>>
class GenerationCache {
 public:
  using Clock = std::chrono::steady_clock;

  // `capacity` is the maximum number of entries of both generations together, 2 or more. Without `age`, only a full
  // cache drops entries.
  explicit GenerationCache(std::size_t capacity, std::optional<Clock::duration> age = std::nullopt)
      : generation_size_(capacity / 2), age_(age) {}

  // Returns null if there is no entry. The pointer is valid until the next call of a function that is not const.
  const Value* find(const Key& key) const {
    for (const Generation* generation : {&young_, &old_}) {
      if (const auto found = generation->find(key); found != generation->end()) return &found->second;
    }
    return nullptr;
  }

  // Like find(), but also moves the entry to the young generation, so that entries in use stay. Must not be called for
  // a cache with an age, because an entry in use would never expire.
  const Value* find_and_keep(const Key& key) {
    if (const auto found = young_.find(key); found != young_.end()) return &found->second;
    auto node = old_.extract(key);
    if (!node) return nullptr;
    make_room();
    return &young_.insert(std::move(node)).position->second;
  }

  const Value* put(Key key, Value value) {
    make_room();
    return &young_.insert_or_assign(std::move(key), std::move(value)).first->second;
  }

  // Drops the entries that are too old at `now`. If the cache has an age, expire() must be called before each find().
  void expire(Clock::time_point now) {
    if (!age_ || now < next_generation_at_) return;
    // expire() has begun no generation for twice `age`, so the entries of the young generation are too old as well.
    if (now >= next_generation_at_ + *age_) young_.clear();
    begin_generation();
    next_generation_at_ = now + *age_;
  }

  void clear() {
    young_.clear();
    old_.clear();
  }

  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  using Generation = std::unordered_map<Key, Value, Hash>;

  void make_room() {
    if (young_.size() >= generation_size_) begin_generation();
  }

  void begin_generation() {
    old_.swap(young_);
    young_.clear();
  }

  std::size_t generation_size_;
  std::optional<Clock::duration> age_;
  Clock::time_point next_generation_at_{};
  Generation young_;
  Generation old_;
};

}  // namespace sealcast
