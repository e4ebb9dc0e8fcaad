# What ${Slicer_USE_FILE} gives an extension: its name, BUILD_TESTING and CTest, install folders, macros.
if(NOT DEFINED EXTENSION_NAME)
  set(EXTENSION_NAME "${PROJECT_NAME}")
endif()

include(CTest)

set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_INSTALL_ROOT}${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")

include("${CMAKE_CURRENT_LIST_DIR}/PythonFiles.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/PythonTests.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/ScriptedModule.cmake")
