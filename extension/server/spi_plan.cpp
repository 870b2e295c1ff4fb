// Prepares and executes statements through the server programming interface (SPI).
#include "server/spi_plan.h"

#include "server/datum.h"

namespace sealcast::server {

std::optional<Datum> SpiRows::value(int row, int column) const {
  bool null;
  const Datum found = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1, &null);
  if (null) return std::nullopt;
  return found;
}

const text* SpiRows::text_copy(int row, int column) const {
  const std::optional<Datum> found = value(row, column);
  return found ? DatumGetTextPP(SPI_datumTransfer(*found, false, -1)) : nullptr;
}

const char* SpiRows::c_string(int row, int column) const {
  const std::optional<Datum> found = value(row, column);
  if (!found) return nullptr;
  const std::string_view bytes = view(DatumGetPointer(*found));
  auto* const copy = static_cast<char*>(SPI_palloc(bytes.size() + 1));
  std::memcpy(copy, bytes.data(), bytes.size());
  copy[bytes.size()] = '\0';
  return copy;
}

void SpiRows::finish() { SPI_finish(); }

SpiRows SpiPlan::execute(std::span<const Datum> arguments) {
  Assert(static_cast<int>(arguments.size()) == count_);
  SPI_connect();
  if (plan_ == nullptr) {
    SPIPlanPtr const prepared = SPI_prepare(sql_, count_, types_);
    if (prepared == nullptr) elog(ERROR, "could not prepare: %s (%s)", sql_, SPI_result_code_string(SPI_result));
    SPI_keepplan(prepared);
    plan_ = prepared;
  }
  const int result = SPI_execute_plan(plan_, const_cast<Datum*>(arguments.data()), nullptr, false, 0);
  if (result != SPI_OK_SELECT) elog(ERROR, "could not execute: %s (%s)", sql_, SPI_result_code_string(result));
  return {};
}

}  // namespace sealcast::server
