// Executes SQL from C++: a statement that is planned once per backend, and its rows.
#pragma once

#include "server/pg.h"

extern "C" {
#include "executor/spi.h"
}

namespace sealcast::server {

// The rows of the SPI connection that execute() opened. Valid until finish(). Columns are counted from 0.
class SpiRows {
 public:
  int count() const { return static_cast<int>(SPI_processed); }
  std::optional<Datum> value(int row, int column) const;
  // Copies that outlive finish(). A SQL null gives a null pointer.
  const char* c_string(int row, int column) const;
  const text* text_copy(int row, int column) const;
  void finish();
};

// For statements whose parameters are never null. Trivially destructible: a plan lives as long as its backend.
class SpiPlan {
 public:
  template <std::size_t N>
  constexpr SpiPlan(const char* sql, const Oid (&types)[N]) : sql_(sql), count_(N) {
    static_assert(N <= kMaxParameters);
    for (std::size_t i = 0; i < N; ++i) types_[i] = types[i];
  }

  // Executes with a new snapshot. The caller must call finish() before it returns.
  SpiRows execute(std::span<const Datum> arguments);

 private:
  static constexpr int kMaxParameters = 9;
  const char* sql_;
  Oid types_[kMaxParameters] = {};
  int count_;
  SPIPlanPtr plan_ = nullptr;
};

}  // namespace sealcast::server
