# Stand-in for Slicer's macro that builds a scripted module.
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(arg "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: NAME is mandatory")
  endif()
  foreach(file IN LISTS arg_SCRIPTS arg_RESOURCES)
    if(file MATCHES "(^|/)\\.\\./")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule: '${file}' lies outside the module's folder")
    endif()
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}" AND NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}.py")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule: there is no file '${file}'")
    endif()
  endforeach()

  set(folder "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  set(no_install_subdir NO_INSTALL_SUBDIR)
  if(arg_WITH_SUBDIR)
    get_filename_component(subdir "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    string(APPEND folder "/${subdir}")
    set(no_install_subdir)
  endif()
  ctkMacroCompilePythonScript(
    TARGET_NAME "${arg_NAME}"
    SCRIPTS ${arg_SCRIPTS}
    RESOURCES ${arg_RESOURCES}
    DESTINATION_DIR "${folder}"
    INSTALL_DIR "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}"
    ${no_install_subdir}
    )

  if(BUILD_TESTING AND arg_WITH_GENERIC_TESTS)
    slicer_add_python_unittest(SCRIPT "qSlicer${arg_NAME}ModuleGenericTest.py" TESTNAME_PREFIX nomainwindow_ SLICER_ARGS --no-main-window)
  endif()
endfunction()
