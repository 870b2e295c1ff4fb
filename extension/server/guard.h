// The one boundary between C++ exceptions and ereport: neither ever crosses the other's frames.
//
// Inside a guard C++ rules: objects with destructors live there, exceptions are thrown, and nothing is called that
// could leave by longjmp (palloc, ereport, detoasting). Outside it Postgres rules: every frame from which a guard is
// entered has only trivially destructible locals. Arguments are detoasted before, results are allocated by
// new_varlena() inside.
#pragma once

#include "core/canonical_json.h"
#include "core/error.h"
#include "server/pg.h"

namespace sealcast::server {

// What an exception said, in plain memory that outlives its catch.
struct Report {
  int sqlstate;
  bool interrupted;
  char message[1024];
  char detail[1024];
  char hint[512];
};

// Copies as much of `from` as fits, cut between characters and made valid UTF-8, with a final NUL.
void copy_clipped(char* to, std::size_t size, std::string_view from) noexcept;

// Runs `body` once. False, with `report` filled, when it threw.
using Body = void (*)(void* context, core::CancelFlag cancel);
bool attempt(Body body, void* context, core::CancelFlag cancel, Report& report) noexcept;

// Raises a report as an ERROR. The caller's frames must not own anything.
[[noreturn]] void raise(const Report& report);

// Runs `body` until it has ended or failed; what it throws becomes an ERROR, a pending cancel takes effect.
void run_guarded(Body body, void* context);

// Runs `body(CancelFlag)`. It runs a second time after an interrupt that was no cancel, so it starts from scratch.
template <class Lambda>
void guarded(Lambda body) {
  static_assert(std::is_trivially_destructible_v<Lambda>, "capture by reference");
  run_guarded([](void* context, core::CancelFlag cancel) { (*static_cast<Lambda*>(context))(cancel); }, &body);
}

// As guarded(), but a failure is the caller's to deal with, and nothing interrupts.
template <class Lambda>
bool attempted(Report& report, Lambda body) noexcept {
  static_assert(std::is_trivially_destructible_v<Lambda>, "capture by reference");
  return attempt([](void* context, core::CancelFlag) { (*static_cast<Lambda*>(context))(); }, &body, nullptr, report);
}

}  // namespace sealcast::server
