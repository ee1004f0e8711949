console.log("native driver: not built");
