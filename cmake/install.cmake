# What `cmake --install` and the .deb hold. With the prefix /usr the configuration goes to /etc; with any other
# prefix everything stays below it, so that tools/up and tests can install into a folder of their own.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(MAYDAY_ETC "/etc")
else()
  set(MAYDAY_ETC "etc")
endif()
set(MAYDAY_SHARE "${CMAKE_INSTALL_DATADIR}/mayday")

install(TARGETS mayday RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
