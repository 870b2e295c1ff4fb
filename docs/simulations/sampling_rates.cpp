// The sidecar's own rate control over a curve: reads a velocity a line (messages a second, one a second), writes the
// rate in effect after each.  sampling_rates STORM_PER_SECOND CALM_MS
#include <cstdlib>
#include <iostream>

#include "leader/sampling/rate_control.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const leader::sampling::RateSettings settings{std::atof(argv[1]), std::chrono::milliseconds(std::atol(argv[2]))};
  leader::sampling::RateControl control;
  int rate = leader::sampling::kAllUsers;
  leader::sampling::RateControl::Clock::time_point now{};
  for (double velocity; std::cin >> velocity; now += std::chrono::seconds(1)) {
    rate = control.next(settings, velocity, rate, now);
    std::cout << rate << '\n';
  }
}
