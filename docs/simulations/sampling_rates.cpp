// Applies the sidecar's own rate control to a curve: sampling_rates STORM_PER_SECOND CALM_MS
// Reads one velocity per line (messages per second, one line per second). Writes the rate in effect after each line.
#include <cstdlib>
#include <iostream>

#include "leader/sampling/rate.h"

using sealcast::leader::sampling::RateControl;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const sealcast::config::Settings::Sampling settings{.storm = std::atoi(argv[1]),
                                                      .calm = std::chrono::milliseconds(std::atol(argv[2]))};
  RateControl control;
  int rate = sealcast::leader::sampling::kAllUsers;
  RateControl::Clock::time_point now{};
  for (double velocity; std::cin >> velocity; now += std::chrono::seconds(1)) {
    rate = control.next(settings, velocity, rate, now);
    std::cout << rate << '\n';
  }
}
