// The only boundary between C++ exceptions and ereport. An exception never crosses a frame of Postgres, and a longjmp
// never crosses a C++ frame that owns something.
//
// Inside a guard, objects may have destructors and code may throw. It must not call anything that could leave by
// longjmp (palloc, ereport, detoasting). Outside a guard, every frame has only trivially destructible locals, so that
// ereport may leave it. Detoast arguments before the guard, and allocate results by new_varlena() inside it.
#pragma once

#include "core/canonical_json.h"
#include "core/error.h"
#include "server/pg.h"

namespace sealcast::server {

// The content of an exception, copied into memory that is still valid after the catch block.
struct Report {
  int sqlstate;
  bool interrupted;
  char message[1024];
  char detail[1024];
  char hint[512];
};

// Copies as much of `from` as fits into `size` bytes including a final NUL. Never cuts inside a UTF-8 character. If the
// result is not valid UTF-8, replaces each byte from 0x80 by '?'.
void copy_clipped(char* to, std::size_t size, std::string_view from) noexcept;

// Calls `body` once. If `body` throws, fills `report` and returns false.
using Body = void (*)(void* context, core::CancelFlag cancel);
bool try_call(Body body, void* context, core::CancelFlag cancel, Report& report) noexcept;

// Raises a report as an ERROR. The frames of the caller must not own anything.
[[noreturn]] void raise(const Report& report);

// Calls `body`. If an interrupt stops it, processes the interrupt (a cancel raises its ERROR here) and calls `body`
// again from the beginning. Raises any other exception of `body` as an ERROR.
void call_guarded(Body body, void* context);

// Calls `body(cancel_flag)` in a guard, as call_guarded() does. `body` may be called several times, so each call
// must start again without the results of the call before.
template <class Lambda>
void guarded(Lambda body) {
  static_assert(std::is_trivially_destructible_v<Lambda>, "capture by reference");
  call_guarded([](void* context, core::CancelFlag cancel) { (*static_cast<Lambda*>(context))(cancel); }, &body);
}

// Calls `body()` once in a guard and ignores interrupts. If `body` throws, fills `report` and returns false. Raises no
// ERROR.
template <class Lambda>
bool try_guarded(Report& report, Lambda body) noexcept {
  static_assert(std::is_trivially_destructible_v<Lambda>, "capture by reference");
  return try_call([](void* context, core::CancelFlag) { (*static_cast<Lambda*>(context))(); }, &body, nullptr, report);
}

}  // namespace sealcast::server
