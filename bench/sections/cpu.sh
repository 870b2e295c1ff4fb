# Measures the CPU time of each process per message.
# shellcheck shell=bash disable=SC2153,SC2154 # run.sh and stack.sh set these variables
echo "## CPU time per message"
echo
echo "Microseconds of CPU time per message, user + kernel, of each process in a closed loop; d has 200 B. 'Stolen' is"
echo "the share of the time of all cores that the host of a virtual machine took away."
echo

# processes: prints a line for each process that takes part: pid and name.
processes() {
  echo "$server_pid sealcastd"
  redis-cli -u "$REDIS_URL" --no-auth-warning info server | sed -nE 's/^process_id:([0-9]+).*/\1 redis-server/p'
  query -F ' ' -c "select pid, case when backend_type <> 'client backend' then 'postgres, its other processes'
      when application_name like 'sealcastd, admission%' then 'postgres, admission'
      when application_name = 'sealcastd, relay' then 'postgres, relay' else 'postgres, other sessions' end
    from pg_stat_activity where pid <> pg_backend_pid()"
}
# ticks: prints the CPU time of each process until now: pid, user ticks, kernel ticks, name.
ticks() {
  local pid name
  while read -r pid name; do
    [[ -r /proc/$pid/stat ]] || continue
    awk -v pid="$pid" -v name="$name" '{ sub(/.*\) /, ""); print pid, $12, $13, name }' "/proc/$pid/stat"
  done < <(processes)
}
# stolen: prints the stolen ticks and all ticks of all cores until now.
stolen() { awk '/^cpu / { all = 0; for (i = 2; i <= 9; i++) all += $i; print $9, all }' /proc/stat; }

declare -A cells=()
start_sealcastd
for connections in 64 256; do
  stream=$(new_stream)
  mapfile -t before < <(ticks)
  read -r stolen_before all_before < <(stolen)
  result=$(load --stream "$stream" --connections "$connections" --seconds "$SECONDS_EACH" --bytes 200)
  read -r stolen_after all_after < <(stolen)
  mapfile -t numbers < <(numbers "$result" answers_per_s accepted cpu_s_per_million)
  while IFS=$'\t' read -r name cost; do
    cells[$connections/$name]=$cost
  done < <(
    { printf '%s\n' "${before[@]}"; echo; ticks; } | awk -v messages="${numbers[1]}" -v tick="$(getconf CLK_TCK)" '
      NF == 0 { after = 1; next }
      { name = $0; sub(/^[0-9]+ [0-9]+ [0-9]+ /, "", name) }
      !after { user[$1] = $2; kernel[$1] = $3; next }
      { u[name] += $2 - user[$1]; k[name] += $3 - kernel[$1] }
      END { us = 1000000 / tick / messages; for (n in u) printf "%s\t%.1f + %.1f\n", n, u[n] * us, k[n] * us }'
  )
  cells[$connections/load generator]=${numbers[2]}
  cells[$connections/answers per second]=${numbers[0]}
  cells[$connections/stolen]=$(awk -v s=$((stolen_after - stolen_before)) -v a=$((all_after - all_before)) \
    'BEGIN { printf "%.0f %%", 100 * s / a }')
done
stop_sealcastd
header "user + kernel" "64 connections" "256 connections"
for name in "load generator" sealcastd redis-server "postgres, admission" "postgres, relay" \
  "postgres, its other processes" "answers per second" stolen; do
  row "$name" "${cells[64/$name]-}" "${cells[256/$name]-}"
done
