# What `cmake --install` and the .deb hold.
# Paths that depend on the prefix are written at install time (install-files.cmake), because `cmake --install
# --prefix DIR` chooses it then: tools/up and the tests install into a folder of their own.
set(MAYDAY_LIB "${CMAKE_INSTALL_LIBDIR}")
if(CMAKE_LIBRARY_ARCHITECTURE)
  set(MAYDAY_LIB "lib/${CMAKE_LIBRARY_ARCHITECTURE}") # where Debian keeps Mosquitto's own plugins
endif()

install(TARGETS mayday RUNTIME DESTINATION bin)
if(TARGET mosquitto_mayday)
  install(TARGETS mosquitto_mayday LIBRARY DESTINATION ${MAYDAY_LIB})
endif()
install(DIRECTORY schemas sql DESTINATION share/mayday
        FILES_MATCHING PATTERN "*.json" PATTERN "*.sql")
install(FILES packaging/systemd/mosquitto.conf DESTINATION lib/systemd/system/mosquitto.service.d RENAME mayday.conf)
install(FILES packaging/systemd/mayday-prune.service packaging/systemd/mayday-prune.timer
        DESTINATION lib/systemd/system)
install(FILES README.md NEWS.md docs/operations.md DESTINATION share/doc/mayday OPTIONAL)

# The manual pages, the completion and the sample configuration are printed by the program itself.
set(generated "${CMAKE_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${generated}")
function(mayday_printed file)
  add_custom_command(OUTPUT "${generated}/${file}" COMMAND mayday ${ARGN} > "${generated}/${file}" DEPENDS mayday VERBATIM)
  set_property(GLOBAL APPEND PROPERTY MAYDAY_PRINTED "${generated}/${file}")
endfunction()
mayday_printed(mayday.1 manual mayday.1)
mayday_printed(mayday.conf.5 manual mayday.conf.5)
mayday_printed(mayday.bash manual completion)
mayday_printed(mayday.conf config sample)
get_property(printed GLOBAL PROPERTY MAYDAY_PRINTED)
add_custom_target(printed ALL DEPENDS ${printed})
configure_file(docs/man/mosquitto_mayday.8 "${generated}/mosquitto_mayday.8" @ONLY)

install(FILES "${generated}/mayday.1" DESTINATION share/man/man1)
install(FILES "${generated}/mayday.conf.5" DESTINATION share/man/man5)
install(FILES "${generated}/mosquitto_mayday.8" DESTINATION share/man/man8)
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
it to PostgreSQL; and mayday, the command that looks after it.")
set(CPACK_PACKAGE_VERSION_MAJOR ${PROJECT_VERSION_MAJOR})
set(CPACK_PACKAGE_VERSION_MINOR ${PROJECT_VERSION_MINOR})
set(CPACK_PACKAGE_VERSION_PATCH ${PROJECT_VERSION_PATCH})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "mosquitto (>= 2.0.11)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "postgresql-client")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql, postgresql-postgis, mosquitto-clients")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${CMAKE_SOURCE_DIR}/packaging/debian/conffiles;${CMAKE_SOURCE_DIR}/packaging/debian/postinst;${CMAKE_SOURCE_DIR}/packaging/debian/postrm")
include(CPack)
