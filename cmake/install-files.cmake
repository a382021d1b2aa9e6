# Run by `cmake --install`: the files that name other installed files, with the paths of this prefix.
# With the prefix /usr or /usr/local the configuration belongs in /etc; any other prefix keeps it below itself.
set(prefix "${CMAKE_INSTALL_PREFIX}")
if(prefix STREQUAL "/usr" OR prefix STREQUAL "/usr/local")
  set(etc "/etc")
else()
  set(etc "${prefix}/etc")
endif()

# Copies `from` to the folder `to` as `name`, with pairs of (text, replacement) applied. A file in the real /etc
# may hold an admin's work: it stays, and ours is put beside it.
function(install_rendered from to name)
  file(READ "${from}" content)
  set(pairs ${ARGN})
  while(pairs)
    list(POP_FRONT pairs text replacement)
    string(FIND "${content}" "${text}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "${from} does not hold the line '${text}' that the installation changes")
    endif()
    string(REPLACE "${text}" "${replacement}" content "${content}")
  endwhile()
  set(path "$ENV{DESTDIR}${to}/${name}")
  if(etc STREQUAL "/etc" AND EXISTS "${path}")
    string(APPEND path ".new")
  endif()
  message(STATUS "Installing: ${path}")
  file(WRITE "${path}" "${content}")
endfunction()

set(conf_d "${MAYDAY_SOURCE}/mosquitto.conf.d")
# Not named *.conf where the broker looks: a package must not change who may enter a running broker before its
# admin has made keys. Renaming the file turns Mayday on.
install_rendered("${conf_d}/mayday.conf" "${etc}/mosquitto/conf.d" mayday.conf.example
  "plugin /usr/lib/x86_64-linux-gnu/mosquitto_mayday.so" "plugin ${prefix}/${MAYDAY_LIB}/mosquitto_mayday.so"
  "plugin_opt_config /etc/mayday/mayday.conf" "plugin_opt_config ${etc}/mayday/mayday.conf")
file(INSTALL "${conf_d}/listeners.conf" DESTINATION "${prefix}/share/mayday/mosquitto.conf.d")
install_rendered("${conf_d}/policy.conf" "${etc}/mayday" policy.conf)

set(changes "")
if(NOT prefix STREQUAL "/usr")
  list(APPEND changes "#schema_dir = /usr/share/mayday/schemas" "schema_dir = ${prefix}/share/mayday/schemas"
                      "#sql_dir = /usr/share/mayday/sql" "sql_dir = ${prefix}/share/mayday/sql")
endif()
if(NOT etc STREQUAL "/etc")
  list(APPEND changes "#keys_file = /etc/mayday/keys.json" "keys_file = ${etc}/mayday/keys.json"
                      "#policy_file = /etc/mayday/policy.conf" "policy_file = ${etc}/mayday/policy.conf")
endif()
install_rendered("${MAYDAY_GENERATED}/mayday.conf" "${etc}/mayday" mayday.conf ${changes})
