# What `cmake --install` and the .deb hold.
# Paths that depend on the prefix are written at install time (install-files.cmake), because `cmake --install
# --prefix DIR` chooses it then: tools/up and the tests install into a folder of their own.
set(MAYDAY_LIB "${CMAKE_INSTALL_LIBDIR}")
if(CMAKE_LIBRARY_ARCHITECTURE)
  set(MAYDAY_LIB "lib/${CMAKE_LIBRARY_ARCHITECTURE}") # where Debian keeps Mosquitto's own plugins
endif()

install(TARGETS mayday RUNTIME DESTINATION bin)
install(TARGETS mayday-gateway RUNTIME DESTINATION sbin)
install(TARGETS mosquitto_mayday LIBRARY DESTINATION ${MAYDAY_LIB})
install(DIRECTORY schemas sql DESTINATION share/mayday
        FILES_MATCHING PATTERN "*.json" PATTERN "*.sql")
install(FILES packaging/systemd/mosquitto.conf DESTINATION lib/systemd/system/mosquitto.service.d RENAME mayday.conf)
install(FILES packaging/systemd/mayday-prune.service packaging/systemd/mayday-prune.timer
              packaging/systemd/mayday-gateway.service
        DESTINATION lib/systemd/system)
install(FILES packaging/systemd/mayday.sysusers DESTINATION lib/sysusers.d RENAME mayday.conf)
install(DIRECTORY examples/plans DESTINATION share/mayday FILES_MATCHING PATTERN "*.json")
install(FILES examples/sensors.json DESTINATION share/mayday)
foreach(page clients escalation operations protocol security sensors texts tracks vitals zones)
  install(FILES docs/${page}.md DESTINATION share/doc/mosquitto-mayday OPTIONAL)
endforeach()
install(FILES NEWS.md DESTINATION share/doc/mosquitto-mayday OPTIONAL)
install(FILES LICENSE DESTINATION share/doc/mosquitto-mayday RENAME copyright OPTIONAL)

# The manual pages, the completion and the sample configuration are printed by the program itself.
set(generated "${CMAKE_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${generated}")
set(printed "")
function(mayday_printed file) # COMMAND...: its output becomes the file
  add_custom_command(OUTPUT "${generated}/${file}" COMMAND ${ARGN} > "${generated}/${file}" DEPENDS mayday VERBATIM)
  set(printed ${printed} "${generated}/${file}" PARENT_SCOPE)
endfunction()
mayday_printed(mayday.1 mayday manual mayday.1)
mayday_printed(mayday.conf.5 mayday manual mayday.conf.5)
mayday_printed(mayday.bash mayday manual completion)
mayday_printed(mayday.conf mayday config sample)
configure_file(docs/man/mosquitto_mayday.8 "${generated}/mosquitto_mayday.8" @ONLY)
configure_file(docs/man/mayday-gateway.8 "${generated}/mayday-gateway.8" @ONLY)
foreach(page mayday.1 mayday.conf.5 mosquitto_mayday.8 mayday-gateway.8)
  add_custom_command(OUTPUT "${generated}/${page}.gz" COMMAND gzip -9nc "${generated}/${page}" > "${generated}/${page}.gz"
                     DEPENDS "${generated}/${page}" VERBATIM)
  list(APPEND printed "${generated}/${page}.gz")
endforeach()
add_custom_target(printed ALL DEPENDS ${printed})

install(FILES "${generated}/mayday.1.gz" DESTINATION share/man/man1)
install(FILES "${generated}/mayday.conf.5.gz" DESTINATION share/man/man5)
install(FILES "${generated}/mosquitto_mayday.8.gz" "${generated}/mayday-gateway.8.gz" DESTINATION share/man/man8)
install(FILES "${generated}/mayday.bash" DESTINATION share/bash-completion/completions RENAME mayday)

install(CODE "
set(MAYDAY_SOURCE \"${CMAKE_SOURCE_DIR}\")
set(MAYDAY_GENERATED \"${generated}\")
set(MAYDAY_LIB \"${MAYDAY_LIB}\")
include(\"${CMAKE_SOURCE_DIR}/cmake/install-files.cmake\")")

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON) # the configuration lies outside the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME mosquitto-mayday)
set(CPACK_PACKAGE_VENDOR "Mayday")
set(CPACK_PACKAGE_CONTACT "Mayday maintainers <mayday@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "emergency alerts for the Mosquitto MQTT broker")
set(CPACK_PACKAGE_DESCRIPTION
"A plugin that authenticates clients by token, decides access message by message,
validates what they send, keeps it in a journal that survives a crash, and writes
it to PostgreSQL; mayday-gateway, the daemon that tells how incidents stand; and
mayday, the command that looks after both.")
set(CPACK_PACKAGE_VERSION_MAJOR ${PROJECT_VERSION_MAJOR})
set(CPACK_PACKAGE_VERSION_MINOR ${PROJECT_VERSION_MINOR})
set(CPACK_PACKAGE_VERSION_PATCH ${PROJECT_VERSION_PATCH})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "mosquitto (>= 2.0.11)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "postgresql-client, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql, postgresql-postgis, mosquitto-clients")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${CMAKE_SOURCE_DIR}/packaging/debian/conffiles;${CMAKE_SOURCE_DIR}/packaging/debian/postinst;${CMAKE_SOURCE_DIR}/packaging/debian/postrm")
include(CPack)
