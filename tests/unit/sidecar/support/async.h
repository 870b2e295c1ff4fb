// Runs coroutines to their end inside a test, and waits until a condition is true instead of sleeping for a fixed time.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>

#include "base/asio.h"

namespace sealcast::test {
inline constexpr std::chrono::seconds kPatience{30};

// Runs the event loop until `condition` is true; returns false after kPatience.
inline bool run_until(asio::io_context& io, const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

template <typename T>
T await(asio::io_context& io, asio::awaitable<T> awaited) {
  std::optional<T> value;
  std::exception_ptr failure;
  asio::co_spawn(io, std::move(awaited), [&](std::exception_ptr error, T result) {
    failure = error;
    value = std::move(result);
  });
  if (!run_until(io, [&] { return value.has_value(); })) throw std::runtime_error("the coroutine did not end");
  if (failure) std::rethrow_exception(failure);
  return std::move(*value);
}

inline void await(asio::io_context& io, asio::awaitable<void> awaited) {
  bool done = false;
  std::exception_ptr failure;
  asio::co_spawn(io, std::move(awaited), [&](std::exception_ptr error) {
    failure = error;
    done = true;
  });
  if (!run_until(io, [&] { return done; })) throw std::runtime_error("the coroutine did not end");
  if (failure) std::rethrow_exception(failure);
}

}  // namespace sealcast::test
