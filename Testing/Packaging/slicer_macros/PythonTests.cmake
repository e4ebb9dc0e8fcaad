# Stand-in for Slicer's macro that registers a Python file's unit tests with CTest. A macro, so that the calling folder counts.
macro(slicer_add_python_unittest)
  cmake_parse_arguments(_unittest "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT _unittest_SCRIPT OR _unittest_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicer_add_python_unittest: expected SCRIPT, TESTNAME_PREFIX, SLICER_ARGS; got ${ARGN}")
  endif()
  get_filename_component(_unittest_name "${_unittest_SCRIPT}" NAME_WE)
  add_test(
    NAME "py_${_unittest_TESTNAME_PREFIX}${_unittest_name}"
    COMMAND "${CMAKE_COMMAND}" -E echo ${_unittest_SLICER_ARGS} "${CMAKE_CURRENT_BINARY_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}"
    )
endmacro()
