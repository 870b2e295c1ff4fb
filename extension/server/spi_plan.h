// Executes SQL statements from C++ through the server programming interface (SPI). Each statement is prepared once per
// backend.
#pragma once

#include "server/pg.h"

extern "C" {
#include "executor/spi.h"
}

namespace sealcast::server {

// The rows that SpiPlan::execute() returned. They are valid until finish(), which closes the SPI connection. Rows and
// columns are counted from 0.
class SpiRows {
 public:
  int count() const { return static_cast<int>(SPI_processed); }
  std::optional<Datum> value(int row, int column) const;
  // Return a copy that stays valid after finish(): it is allocated in the memory context in which execute() was called.
  // Return a null pointer for a SQL null.
  const char* c_string(int row, int column) const;
  const text* text_copy(int row, int column) const;
  void finish();
};

// A statement that returns rows and whose parameters are never null. Declare it with static storage: the prepared plan
// is kept until the backend ends, so there is no destructor.
class SpiPlan {
 public:
  template <std::size_t N>
  constexpr SpiPlan(const char* sql, const Oid (&types)[N]) : sql_(sql), count_(N) {
    static_assert(N <= kMaxParameters);
    for (std::size_t i = 0; i < N; ++i) types_[i] = types[i];
  }

  // Executes the statement with a new snapshot, in an SPI connection that it opens. The caller must call finish() on
  // the rows to close this connection.
  SpiRows execute(std::span<const Datum> arguments);

 private:
  static constexpr int kMaxParameters = 9;
  const char* sql_;
  Oid types_[kMaxParameters] = {};
  int count_;
  SPIPlanPtr plan_ = nullptr;
};

}  // namespace sealcast::server
