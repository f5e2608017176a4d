# SPDX-License-Identifier: Apache-2.0
#
# For projects that depend on this one and use mix: everything is built by
# ./bootstrap, in place (it says what is missing), and copied to where mix wants
# it. rebar3 is not needed.

defmodule Mix.Tasks.Compile.Pyport do
  @moduledoc false
  use Mix.Task.Compiler

  # How this tree is configured, and where mix has copies of what was built in it.
  @configured ".bootstrap-arguments"
  @builds ".mix-builds"
  @manifest "compile.pyport"

  @impl true
  def run(_args) do
    bootstrap = Path.expand("bootstrap")

    case System.cmd(bootstrap, ["--no-install"], into: IO.stream(), stderr_to_stdout: true) do
      {_, 0} -> {install(), []}
      {_, _} -> Mix.raise("pyport could not be built: see what ./bootstrap has said")
    end
  end

  @impl true
  def manifests, do: [manifest()]

  defp manifest, do: Path.join(Mix.Project.manifest_path(), @manifest)

  # A copy, because one tree may be built for several environments of a project,
  # each with a Python of its own.
  defp install do
    built = built()

    if File.read(manifest()) == {:ok, built} do
      :noop
    else
      Enum.each(~w(doc ebin include priv), &copy/1)
      File.mkdir_p!(Mix.Project.manifest_path())
      File.write!(manifest(), built)
      File.write!(@builds, Enum.join(Enum.uniq([Mix.Project.manifest_path() | builds()]), "\n"))
      :ok
    end
  end

  # A worker may run the old program.
  defp copy(dir) do
    target = Path.join(Mix.Project.app_path(), dir)
    File.rm_rf!(target)
    File.cp_r!(Path.join("lib/py", dir), target)
  end

  # For which Python, and what make has made, and when.
  defp built do
    for file <- Path.wildcard("lib/py/**/*"), into: read(@configured) do
      %{mtime: time, size: size} = File.stat!(file, time: :posix)
      "#{file} #{time} #{size}\n"
    end
  end

  defp builds, do: String.split(read(@builds), "\n", trim: true)

  defp read(file) do
    case File.read(file) do
      {:ok, text} -> text
      {:error, _} -> ""
    end
  end

  @doc """
  Has mix compile those copies again that are for another Python than PYTHON.

  mix compiles a dependency when it is new, and that it is not new is what the
  file compile.fetch says.
  """
  def notice_python do
    with python when python not in [nil, ""] <- System.get_env("PYTHON") do
      for path <- builds(), not for_python?(path, python) do
        File.rm(Path.join(path, "compile.fetch"))
      end
    end
  end

  defp for_python?(path, python) do
    String.contains?(read(Path.join(path, @manifest)), "'PYTHON=#{python}'")
  end
end

defmodule Pyport.MixProject do
  use Mix.Project

  def project do
    Mix.Tasks.Compile.Pyport.notice_python()
    [app: :py, version: version(), elixir: "~> 1.14", compilers: [:pyport], deps: []]
  end

  def application, do: []

  defp version do
    [_, version] = Regex.run(~r/AC_INIT\(\[pyport\], \[(.*?)\]\)/, File.read!("configure.ac"))
    version
  end
end
