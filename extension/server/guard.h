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

// The content of an exception, in plain memory that outlives the catch.
struct Report {
  int sqlstate;
  bool interrupted;
  char message[1024];
  char detail[1024];
  char hint[512];
};

// Copies as much of `from` as fits, with a final NUL. Cuts between characters; replaces bytes that are not valid UTF-8.
void copy_clipped(char* to, std::size_t size, std::string_view from) noexcept;

// Calls `body` once. Returns false and fills `report` if it throws.
using Body = void (*)(void* context, core::CancelFlag cancel);
bool try_call(Body body, void* context, core::CancelFlag cancel, Report& report) noexcept;

// Raises a report as an ERROR. The frames of the caller must not own anything.
[[noreturn]] void raise(const Report& report);

// Calls `body` until it returns or fails. Raises its exception as an ERROR, and lets a pending cancel take effect.
void call_guarded(Body body, void* context);

// Calls `body(CancelFlag)` in a guard. An interrupt other than a cancel makes it start again from the beginning.
template <class Lambda>
void guarded(Lambda body) {
  static_assert(std::is_trivially_destructible_v<Lambda>, "capture by reference");
  call_guarded([](void* context, core::CancelFlag cancel) { (*static_cast<Lambda*>(context))(cancel); }, &body);
}

// As guarded(), but returns false on failure and ignores interrupts. Does not ereport.
template <class Lambda>
bool try_guarded(Report& report, Lambda body) noexcept {
  static_assert(std::is_trivially_destructible_v<Lambda>, "capture by reference");
  return try_call([](void* context, core::CancelFlag) { (*static_cast<Lambda*>(context))(); }, &body, nullptr, report);
}

}  // namespace sealcast::server
