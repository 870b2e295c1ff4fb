# Where a message's microseconds go: the CPU time of each process while messages are sent, over their number.
# shellcheck shell=bash disable=SC2153,SC2154 # what run.sh and stack.sh set
echo "## Where a message's microseconds go"
echo
echo "CPU microseconds a message, user + kernel, of each process in a closed loop; d has 200 B. 'Stolen' is what the host"
echo "of a virtual machine took from all its cores."
echo

# processes: what takes part, a line each: its pid and name.
processes() {
  echo "$server_pid sealcastd"
  redis-cli -u "$REDIS_URL" --no-auth-warning info server | sed -nE 's/^process_id:([0-9]+).*/\1 redis-server/p'
  query -F ' ' -c "select pid, case when backend_type <> 'client backend' then 'postgres, its other processes'
      when application_name like 'sealcastd, admission%' then 'postgres, admission'
      when application_name = 'sealcastd, relay' then 'postgres, relay' else 'postgres, other sessions' end
    from pg_stat_activity where pid <> pg_backend_pid()"
}
# ticks: user and kernel time of each process by now, "pid user kernel name".
ticks() {
  local pid name
  while read -r pid name; do
    [[ -r /proc/$pid/stat ]] || continue
    awk -v pid="$pid" -v name="$name" '{ sub(/.*\) /, ""); print pid, $12, $13, name }' "/proc/$pid/stat"
  done < <(processes)
}
stolen() { awk '/^cpu / { all = 0; for (i = 2; i <= 9; i++) all += $i; print $9, all }' /proc/stat; }

declare -A bill=()
ours_up
for connections in 64 256; do
  stream=$(new_stream)
  mapfile -t before < <(ticks)
  read -r stolen_before all_before < <(stolen)
  result=$(load --stream "$stream" --connections "$connections" --seconds "$SECONDS_EACH" --bytes 200)
  read -r stolen_after all_after < <(stolen)
  mapfile -t numbers < <(numbers "$result" answers_per_s accepted cpu_s_per_million)
  while IFS=$'\t' read -r name cost; do
    bill[$connections/$name]=$cost
  done < <(
    { printf '%s\n' "${before[@]}"; echo; ticks; } | awk -v messages="${numbers[1]}" -v tick="$(getconf CLK_TCK)" '
      NF == 0 { after = 1; next }
      { name = $0; sub(/^[0-9]+ [0-9]+ [0-9]+ /, "", name) }
      !after { user[$1] = $2; kernel[$1] = $3; next }
      { u[name] += $2 - user[$1]; k[name] += $3 - kernel[$1] }
      END { us = 1000000 / tick / messages; for (n in u) printf "%s\t%.1f + %.1f\n", n, u[n] * us, k[n] * us }'
  )
  bill[$connections/load generator]=${numbers[2]}
  bill[$connections/answers a second]=${numbers[0]}
  bill[$connections/stolen]=$(awk -v s=$((stolen_after - stolen_before)) -v a=$((all_after - all_before)) \
    'BEGIN { printf "%.0f %%", 100 * s / a }')
done
ours_down
header "user + kernel" "64 connections" "256 connections"
for name in "load generator" sealcastd redis-server "postgres, admission" "postgres, relay" \
  "postgres, its other processes" "answers a second" stolen; do
  row "$name" "${bill[64/$name]-}" "${bill[256/$name]-}"
done
