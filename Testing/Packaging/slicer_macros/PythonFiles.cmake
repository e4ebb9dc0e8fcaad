# Stand-in for CTK's macro that copies Python files and what goes with them into the build folder and installs that folder.
function(ctkMacroCompilePythonScript)
  # By ARGN: a list passed as one quoted argument is taken apart, as CTK does.
  cmake_parse_arguments(arg
    "NO_INSTALL_SUBDIR;GLOBAL_TARGET" "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ctkMacroCompilePythonScript: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  foreach(name IN ITEMS TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if(NOT arg_${name})
      message(FATAL_ERROR "ctkMacroCompilePythonScript: ${name} is mandatory")
    endif()
  endforeach()
  if(NOT arg_SOURCE_DIR)
    set(arg_SOURCE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()

  set(copies)
  foreach(file IN LISTS arg_SCRIPTS arg_RESOURCES)
    if(file IN_LIST arg_SCRIPTS AND NOT file MATCHES "\\.py$")
      string(APPEND file ".py")
    endif()
    set(copy "${arg_DESTINATION_DIR}/${file}")
    # A source that does not exist has no rule to make it: the build fails.
    add_custom_command(
      OUTPUT "${copy}"
      DEPENDS "${arg_SOURCE_DIR}/${file}"
      COMMAND "${CMAKE_COMMAND}" -E copy "${arg_SOURCE_DIR}/${file}" "${copy}"
      VERBATIM
      )
    list(APPEND copies "${copy}")
  endforeach()
  add_custom_target(Copy${arg_TARGET_NAME}PythonFiles ALL DEPENDS ${copies})

  if(arg_NO_INSTALL_SUBDIR)
    string(APPEND arg_DESTINATION_DIR "/")
  endif()
  install(DIRECTORY "${arg_DESTINATION_DIR}" DESTINATION "${arg_INSTALL_DIR}" COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)
endfunction()
