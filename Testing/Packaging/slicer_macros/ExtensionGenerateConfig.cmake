# Stand-in for the file that writes <Extension>Config.cmake for extensions that build on this one.
if(NOT EXTENSION_NAME)
  message(FATAL_ERROR "Slicer_EXTENSION_GENERATE_CONFIG: the extension has no name")
endif()
